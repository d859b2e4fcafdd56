"""Reads the export of a person as whoever receives it would, and holds it against the archive.

    check_export.py FOLDER BUNDLES

FOLDER has `person.zip` and `expected.json`: the type, connection, key and SHA-256 of each record in the archive. FHIR bundles
are unpacked to the folder BUNDLES, for the validators.
"""

import csv
import hashlib
import io
import json
import sys
import zipfile
from pathlib import Path

import fitdecode
from garmin_fit_sdk import Decoder, Stream

folder, unpacked = Path(sys.argv[1]), Path(sys.argv[2])
archive = zipfile.ZipFile(folder / "person.zip")
assert archive.testzip() is None, "a checksum is wrong"
names = archive.namelist()
assert len(names) == len(set(names)), "two files of one name"
assert all(info.compress_type == zipfile.ZIP_DEFLATED for info in archive.infolist())

manifest = json.loads(archive.read("manifest.json"))
listed = {file["name"]: file for file in manifest["files"]}
assert set(listed) | {"manifest.json"} == set(names), set(listed) ^ set(names)
for name, file in listed.items():
    content = archive.read(name)
    assert len(content) == file["bytes"], name
    assert hashlib.sha256(content).hexdigest() == file["sha256"], name
assert not manifest["left_out"], manifest["left_out"]

# -- every record, byte for byte

found = {}
older = 0
for name in names:
    if not (name.startswith("records/") or name == "lab-reports.ndjson"):
        continue
    data_type = name.split("/")[1].rsplit("-", 1)[0] if "/" in name else "lab_report"
    for line in archive.read(name).split(b"\n")[:-1]:
        read = json.loads(line)
        if "record_text" in read:
            record = read["record_text"].encode()
        else:
            record = line[line.index(b'"record":') + len(b'"record":'):-1]
        if "kept_for" in read:
            older += 1
            continue
        known = (f'{data_type} {read.get("connection", "-")}', read["key"])
        assert known not in found, known
        found[known] = hashlib.sha256(record).hexdigest()
expected = {(one["of"], one["key"]): one["sha256"] for one in json.loads((folder / "expected.json").read_text())}
assert found == expected, "records differ from the archive"
assert older == manifest["counts"]["older_deliveries"] and older > 0
assert sum(manifest["counts"]["records"].values()) == len(found)

# -- the other files

rows = list(csv.DictReader(io.StringIO(archive.read("all-values.csv").decode(), newline="")))
assert len(rows) == manifest["counts"]["values"] > 500
assert {row["unit"] for row in rows} >= {"m", "bpm", "kcal", "s", "°C"}
assert all(row["origin"] in ("delivered", "from samples", "score") for row in rows)

bundles = 0
for name in names:
    if name.startswith("fhir/"):
        bundles += 1
        (unpacked / name.replace("/", "-")).write_bytes(archive.read(name))
assert bundles >= 2

workouts = [key for (of, key) in found if of.startswith("activity ")]
files = [name for name in names if name.startswith("fit/")]
assert len(files) == len(workouts) > 2, (len(files), len(workouts))
with_core = 0
for name in files:
    content = archive.read(name)
    assert Decoder(Stream.from_byte_array(bytearray(content))).check_integrity(), name
    messages, errors = Decoder(Stream.from_byte_array(bytearray(content))).read()
    assert not errors and len(messages["session_mesgs"]) == 1, (name, errors)
    with_core += any("core_temperature" in record for record in messages.get("record_mesgs", []))
    with fitdecode.FitReader(io.BytesIO(content), error_handling=fitdecode.ErrorHandling.RAISE,
                             check_crc=fitdecode.CrcCheck.RAISE) as reader:
        assert any(isinstance(frame, fitdecode.FitDataMessage) for frame in reader), name
assert with_core > 0, "no workout has the body temperature of the person's CORE sensor"

print(f"{len(found)} records, {len(rows)} values, {bundles} bundles, {len(files)} FIT files: all as they should be")
