"""Holds what three decoders read from FIT files against the records that the files were made of.

    check_fit.py FOLDER

Each `<name>.fit` has a `<name>.json` with the activity and CORE's body records, and a `<name>.javascript` with what
Garmin's JavaScript SDK read. What is expected is computed here from the records, by itself.
"""

import json
import math
import struct
import sys
from datetime import datetime, timezone
from pathlib import Path

import fitdecode
from garmin_fit_sdk import Decoder, Stream

CORE_APP = bytes.fromhex("6957fe6883fe4ed68613413f70624bb5")
EPOCH = 631065600
# fitdecode's profile is older than these fields; their developer fields are compared.
UNKNOWN_TO_FITDECODE = {"coretemperature", "avgcoretemperature", "maxcoretemperature", "mincoretemperature",
                        "rmssdhrv", "sdrrhrv", "avgspo2", "totalfractionalascent", "totalfractionaldescent"}


def plain(name):
    return str(name).replace("_", "").lower()


def seconds(value):
    """A decoder's time as Unix seconds."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value.replace("Z", "+00:00"))
    if isinstance(value, datetime):
        return int(value.timestamp()) if value.tzinfo else int(value.replace(tzinfo=timezone.utc).timestamp())
    return int(value) + EPOCH


# -- what the decoders read, in one form: message name -> list of {field name: value}, developer fields under "core:name"

TIMES = {"timestamp", "starttime", "timecreated"}


def normal(fields):
    return {key: seconds(value) if key in TIMES else value for key, value in fields.items()}


def by_python(path):
    bytes_read = bytearray(path.read_bytes())
    assert Decoder(Stream.from_byte_array(bytes_read)).is_fit(), "not a FIT file"
    assert Decoder(Stream.from_byte_array(bytes_read)).check_integrity(), "a checksum is wrong"
    messages, errors = Decoder(Stream.from_byte_array(bytes_read)).read()
    assert not errors, errors
    names = {}
    for number, description in enumerate(messages.get("field_description_mesgs", [])):
        # Named by its place among the descriptions, or by its number; both SDKs have `key`.
        names[description.get("key", number)] = description["field_name"]
    return official(messages, names)


def by_javascript(path):
    read = json.loads(path.with_suffix(".javascript").read_text())
    assert read["isFit"] and read["isWhole"] and not read["errors"], read["errors"]
    descriptions = read["messages"].get("fieldDescriptionMesgs", [])
    names = {description.get("key", number): description["fieldName"] for number, description in enumerate(descriptions)}
    return official(read["messages"], names)


def official(messages, names):
    found = {}
    for name, list_of_fields in messages.items():
        name = plain(name).removesuffix("mesgs")
        for fields in list_of_fields:
            read = {}
            for key, value in fields.items():
                if plain(key) == "developerfields":
                    for number, inner in value.items():
                        field = names[int(number)]
                        field = field[0] if isinstance(field, list) else field
                        read["core:" + field] = inner
                else:
                    read[plain(key)] = value
            found.setdefault(name, []).append(normal(read))
    return found


def by_fitdecode(path):
    found = {}
    with fitdecode.FitReader(str(path), error_handling=fitdecode.ErrorHandling.RAISE,
                             check_crc=fitdecode.CrcCheck.RAISE) as reader:
        for frame in reader:
            if not isinstance(frame, fitdecode.FitDataMessage):
                continue
            read = {}
            for field in frame.fields:
                if field.value is None:
                    continue
                if isinstance(field.field, fitdecode.types.DevField):
                    read["core:" + field.name] = field.value
                else:
                    read.setdefault(plain(field.name), field.value)
            found.setdefault(plain(frame.name), []).append(normal(read))
    return found


# -- what the record says


def number(value):
    """A number as Terra's readers take it: text counts, and what is not finite does not."""
    if isinstance(value, bool) or value is None or isinstance(value, (list, dict)):
        return None
    try:
        value = float(value)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def instant(text):
    if not isinstance(text, str) or "T" not in text:
        return None
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)


def held(value, scale, largest, smallest=0, offset=0.0):
    """The value as a field of so many steps holds it; None where it cannot."""
    value = number(value)
    if value is None:
        return None
    steps = (value + offset) * scale
    steps = math.floor(abs(steps) + 0.5) * (1 if steps >= 0 else -1)
    return None if steps >= largest or steps < smallest else steps / scale - offset


U8, U16, U32, I8 = 0xFF, 0xFFFF, 0xFFFFFFFF, 0x7F


def at(record, *path):
    for name in path:
        record = record.get(name) if isinstance(record, dict) else None
    return record


def stands_for_none(member, value):
    """Whether vendors write the value where they have none."""
    value = number(value)
    if value is None:
        return False
    if value < 0 and member not in ("elev_meters", "temperature_celsius"):
        return True
    return value in (2**31 - 1, -2**31, 2**32 - 1) or (member == "bpm" and value in (0, 255))


def readings(record, *path, member=None):
    """The readings of a stream in the order of time, as pairs of time and reading."""
    samples = at(record, *path)
    found = []
    for reading in samples if isinstance(samples, list) else []:
        time = instant(at(reading, "timestamp"))
        if time is not None and not (member and stands_for_none(member, reading.get(member))):
            found.append((time, reading))
    return sorted(found, key=lambda pair: pair[0])


def position(coordinates):
    """Latitude and longitude in semicircles."""
    numbers = [number(value) for value in coordinates] if isinstance(coordinates, list) else []
    if len(numbers) < 2 or None in numbers[:2] or abs(numbers[0]) > 90 or abs(numbers[1]) > 180:
        return None
    return [held(value, 2**31 / 180, 2**31 - 1, -(2**31)) * 2**31 / 180 if value < 180 else None
            for value in numbers[:2]]


def single(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def cadence(value):
    """The whole part and the fraction, which FIT holds in two fields; None where the whole part is too large."""
    value = held(value, 128, U32)
    if value is None or int(value) >= U8:
        return None
    return int(value), value % 1


def expected_records(activity, bodies, start, end):
    records = {}

    def put(time, name, value):
        """The last reading of a second stands, also where a field cannot hold it."""
        records.setdefault(int(time.timestamp() // 1), {})[name] = value

    for time, reading in readings(activity, "heart_rate_data", "detailed", "hr_samples", member="bpm"):
        put(time, "heartrate", held(reading.get("bpm"), 1, U8))
    for time, reading in readings(activity, "movement_data", "cadence_samples", member="cadence_rpm"):
        turns = cadence(reading.get("cadence_rpm"))
        put(time, "cadence", turns and turns[0])
        put(time, "fractionalcadence", turns and turns[1] or None)
    for time, reading in readings(activity, "movement_data", "speed_samples", member="speed_meters_per_second"):
        put(time, "enhancedspeed", held(reading.get("speed_meters_per_second"), 1000, U32))
    for time, reading in readings(activity, "distance_data", "detailed", "distance_samples", member="distance_meters"):
        put(time, "distance", held(reading.get("distance_meters"), 100, U32))
    for time, reading in readings(activity, "distance_data", "detailed", "elevation_samples", member="elev_meters"):
        put(time, "enhancedaltitude", held(reading.get("elev_meters"), 5, U32, 0, 500.0))
    for time, reading in readings(activity, "power_data", "power_samples", member="watts"):
        put(time, "power", held(reading.get("watts"), 1, U16))
    for time, reading in readings(activity, "position_data", "position_samples"):
        place = position(reading.get("coords_lat_lng_deg")) or [None, None]
        put(time, "positionlat", place[0])
        put(time, "positionlong", place[1])
    for time, reading in readings(activity, "oxygen_data", "saturation_samples", member="percentage"):
        if reading.get("type") == 1:
            put(time, "saturatedhemoglobinpercent", held(reading.get("percentage"), 10, U16))
    for body in bodies:
        for stream in ("body", "skin", "ambient"):
            for time, reading in readings(body, "temperature_data", stream + "_temperature_samples",
                                          member="temperature_celsius"):
                celsius = number(reading.get("temperature_celsius"))
                if celsius is None or not start <= time <= end:
                    continue
                if stream == "body":
                    put(time, "coretemperature", held(celsius, 100, U16))
                    put(time, "core:core_temperature", single(celsius))
                elif stream == "skin":
                    put(time, "core:skin_temperature", single(celsius))
                else:
                    put(time, "temperature", held(celsius, 1, I8, -128))
    said = {}
    for second, fields in records.items():
        fields = {name: value for name, value in fields.items() if value is not None}
        if fields:
            said[second] = fields
    return said


def core_summary(bodies, start, end):
    values = [number(reading.get("temperature_celsius"))
              for body in bodies
              for time, reading in readings(body, "temperature_data", "body_temperature_samples",
                                            member="temperature_celsius")
              if start <= time <= end]
    values = [value for value in values if value is not None]
    if not values:
        return {}
    found = {}
    for name, value in (("avg", sum(values) / len(values)), ("max", max(values)), ("min", min(values))):
        found[name + "coretemperature"] = held(value, 100, U16)
        found[f"core:{name}_core_temperature"] = single(value)
    return found


SPORTS = {1: ("cycling", "generic"), 7: ("walking", "generic"), 8: ("running", "generic"), 16: ("cycling", "road"),
          35: ("hiking", "generic"), 83: ("swimming", "lapswimming"), 100: ("training", "yoga"),
          149: ("running", "trail"), 150: ("cycling", "gravelcycling"), 0: ("generic", "generic")}


def expected_session(activity, bodies, start, end):
    summary = at(activity, "distance_data", "summary") or {}
    heart = at(activity, "heart_rate_data", "summary") or {}
    movement = activity.get("movement_data") or {}
    elevation = summary.get("elevation") or {}
    elapsed = held((end - start).total_seconds(), 1000, U32)
    active = number(at(activity, "active_durations_data", "activity_seconds"))
    active = None if stands_for_none("activity_seconds", active) else active
    work = held(at(activity, "work_data", "work_kilojoules"), 1000, U32)
    session = {
        "starttime": int(start.timestamp()),
        "timestamp": int(end.timestamp()),
        "totalelapsedtime": elapsed,
        "totaltimertime": elapsed if active is None else held(active, 1000, U32),
        "totaldistance": held(summary.get("distance_meters"), 100, U32),
        "totalcalories": held(at(activity, "calories_data", "total_burned_calories"), 1, U16),
        "avgheartrate": held(heart.get("avg_hr_bpm"), 1, U8),
        "maxheartrate": held(heart.get("max_hr_bpm"), 1, U8),
        "minheartrate": held(heart.get("min_hr_bpm"), 1, U8),
        "rmssdhrv": held(heart.get("avg_hrv_rmssd"), 1, U8),
        "sdrrhrv": held(heart.get("avg_hrv_sdnn"), 1, U8),
        "avgspo2": held(at(activity, "oxygen_data", "avg_saturation_percentage"), 1, U8),
        "avgpower": held(at(activity, "power_data", "avg_watts"), 1, U16),
        "maxpower": held(at(activity, "power_data", "max_watts"), 1, U16),
        "enhancedavgspeed": held(movement.get("avg_speed_meters_per_second"), 1000, U32),
        "enhancedmaxspeed": held(movement.get("max_speed_meters_per_second"), 1000, U32),
        "enhancedavgaltitude": held(elevation.get("avg_meters"), 5, U32, 0, 500.0),
        "enhancedmaxaltitude": held(elevation.get("max_meters"), 5, U32, 0, 500.0),
        "enhancedminaltitude": held(elevation.get("min_meters"), 5, U32, 0, 500.0),
        "totalwork": work and work * 1000,
    }
    for end_of_it in ("start", "end"):
        place = position(at(activity, "position_data", end_of_it + "_pos_lat_lng_deg")) or [None, None]
        session[end_of_it + "positionlat"], session[end_of_it + "positionlong"] = place
    for name, field in (("avg", "avg_cadence_rpm"), ("max", "max_cadence_rpm")):
        turns = cadence(movement.get(field))
        session[name + "cadence"] = turns and turns[0]
    for name, field in (("ascent", "gain_actual_meters"), ("descent", "loss_actual_meters")):
        metres = held(elevation.get(field), 100, U32)
        whole = None if metres is None or int(metres + 1e-9) >= U16 else int(metres + 1e-9)
        session["total" + name] = whole
        session["totalfractional" + name] = None if whole is None else round(metres - whole, 2) or None
    sport = SPORTS.get(at(activity, "metadata", "type"))
    if sport:
        session["sport"], session["subsport"] = sport
        swimming = summary.get("swimming") or {}
        if sport[0] == "swimming":
            session["totalcycles"] = held(swimming.get("num_strokes"), 1, U32)
            session["poollength"] = held(swimming.get("pool_length_meters"), 100, U16)
        elif sport[0] in ("running", "walking"):
            steps = number(summary.get("steps"))
            session["totalcycles"] = None if steps is None else int(steps // 2)
    session.update(core_summary(bodies, start, end))
    return session


def same(read, expected):
    if isinstance(expected, str):
        return plain(read) == expected
    if isinstance(read, (list, tuple)):
        read = read[0]
    return isinstance(read, (int, float)) and math.isclose(read, expected, rel_tol=1e-9, abs_tol=1e-6)


# What decoders call a field where it has a name of its own in the session's sport.
OTHER_NAMES = {"totalcycles": ("totalstrokes", "totalstrides"), "avgcadence": ("avgrunningcadence",),
               "maxcadence": ("maxrunningcadence",)}


class Check:
    def __init__(self, decoder, name):
        self.where, self.decoder, self.values = f"{name} by {decoder}", decoder, 0

    def fields(self, message, read, expected):
        for field, value in expected.items():
            if self.decoder == "fitdecode" and field in UNKNOWN_TO_FITDECODE:
                continue
            names = (field, *OTHER_NAMES.get(field, ()))
            found = [read[name] for name in names if read.get(name) is not None]
            if value is None:
                assert not found, f"{self.where}: {message}.{field} is {found[0]}, but was not sent"
                continue
            assert found, f"{self.where}: {message}.{field} is not there, but was sent as {value}"
            assert any(same(value_read, value) for value_read in found), \
                f"{self.where}: {message}.{field} is {found}, not {value}"
            self.values += 1


def check(decoder, name, read, activity, bodies):
    check = Check(decoder, name)
    start = instant(activity["metadata"]["start_time"])
    end = instant(activity["metadata"].get("end_time"))
    if end is None or end < start:
        times = [time for path in (("heart_rate_data", "detailed", "hr_samples"), ("movement_data", "cadence_samples"),
                                   ("movement_data", "speed_samples"), ("power_data", "power_samples"),
                                   ("position_data", "position_samples"),
                                   ("distance_data", "detailed", "distance_samples"),
                                   ("distance_data", "detailed", "elevation_samples"))
                 for time, _ in readings(activity, *path)]
        end = max([time for time in times if time >= start], default=start)
    file_id, = read["fileid"]
    assert plain(file_id["type"]) == "activity" and plain(file_id["manufacturer"]) == "development", file_id
    check.fields("file_id", file_id, {"timecreated": int(start.timestamp())})
    kinds = [(plain(event["event"]), plain(event["eventtype"]), event["timestamp"]) for event in read["event"]]
    assert kinds == [("timer", "start", int(start.timestamp())), ("timer", "stopall", int(end.timestamp()))], kinds

    expected = expected_records(activity, bodies, start, end)
    records = read.get("record", [])
    seconds_read = [record["timestamp"] for record in records]
    assert seconds_read == sorted(expected), f"{check.where}: {len(records)} records, not {len(expected)}"
    names = {"heartrate", "cadence", "fractionalcadence", "enhancedspeed", "distance", "enhancedaltitude", "power",
             "positionlat", "positionlong", "saturatedhemoglobinpercent", "coretemperature", "temperature",
             "core:core_temperature", "core:skin_temperature"}
    for record in records:
        fields = expected[record["timestamp"]]
        check.fields("record", record, {name: fields.get(name) for name in names})

    session, = read["session"]
    check.fields("session", session, expected_session(activity, bodies, start, end))
    whole, = read["activity"]
    assert whole["numsessions"] == 1
    offset = next((instant_.utcoffset().total_seconds() for instant_ in (
        datetime.fromisoformat(text.replace("Z", "+00:00")) for text in (
            activity["metadata"].get("end_time"), activity["metadata"].get("start_time")) if isinstance(text, str))
        if instant_.tzinfo), None)
    local = whole.get("localtimestamp")
    assert (local is None) == (offset is None), f"{check.where}: local time {local}, offset {offset}"
    if offset is not None:
        assert seconds(local) == int(end.timestamp()) + offset, f"{check.where}: local time {local}"

    samples = at(activity, "lap_data", "laps") or []
    laps = read["lap"]
    assert len(laps) == max(1, len(samples)) == session["numlaps"], f"{check.where}: {len(laps)} laps"
    for lap, sample in zip(laps, samples):
        expected = {
            "totaldistance": held(sample.get("distance_meters"), 100, U32),
            "totalcalories": held(sample.get("calories"), 1, U16),
            "avgheartrate": held(sample.get("avg_hr_bpm"), 1, U8),
            "avgpower": held(sample.get("avg_watts"), 1, U16),
            "enhancedavgspeed": held(sample.get("avg_speed_meters_per_second"), 1000, U32),
            "totalcycles": held(sample.get("total_strokes"), 1, 2**31 - 1),
        }
        lap_start, lap_end = instant(sample.get("start_time")), instant(sample.get("end_time"))
        if lap_start and lap_end:
            expected["starttime"], expected["timestamp"] = int(lap_start.timestamp()), int(lap_end.timestamp())
            expected.update(core_summary(bodies, lap_start, lap_end))
        triggers = {"MANUAL": "manual", "DISTANCE": "distance"}
        if sample.get("trigger_method") in triggers:
            expected["laptrigger"] = triggers[sample["trigger_method"]]
        check.fields("lap", lap, expected)
    if not samples:
        lap = laps[0]
        check.fields("lap", lap, {key: session.get(key) for key in ("totaldistance", "totalcalories", "avgheartrate")})

    lengths = read.get("length", [])
    if at(activity, "metadata", "type") == 83:
        pool = at(activity, "distance_data", "summary", "swimming", "pool_length_meters")
        single_ones = [sample for sample in samples if sample["distance_meters"] <= pool]
        assert len(lengths) == len(single_ones) == session["numlengths"]
        for length, sample in zip(lengths, single_ones):
            rest = sample["stroke_type"] == "REST"
            check.fields("length", length, {
                "starttime": int(instant(sample["start_time"]).timestamp()),
                "totalstrokes": held(sample.get("total_strokes"), 1, U16),
                "lengthtype": "idle" if rest else "active",
                "swimstroke": None if rest else plain(sample["stroke_type"]),
            })
    else:
        assert not lengths

    apps = read.get("developerdataid", [])
    if any(key.startswith("core:") for record in records for key in record):
        app, = apps
        assert bytes(app["applicationid"]) == CORE_APP, app
    else:
        assert not apps
    return check.values


def main(folder):
    files = sorted(Path(folder).glob("*.fit"))
    assert len(files) > 50, f"only {len(files)} files"
    values = 0
    for path in files:
        source = json.loads(path.with_suffix(".json").read_text())
        for decoder, read in (("Garmin's Python SDK", by_python), ("Garmin's JavaScript SDK", by_javascript),
                              ("fitdecode", by_fitdecode)):
            try:
                values += check(decoder.split()[0] if decoder == "fitdecode" else decoder, path.stem, read(path),
                                source["activity"], source["core"])
            except AssertionError as error:
                raise SystemExit(str(error) if path.stem in str(error) else f"{path.stem} by {decoder}: {error!r}") from error
    broken = bytearray(files[0].read_bytes())
    broken[len(broken) // 2] ^= 1
    assert not Decoder(Stream.from_byte_array(broken)).check_integrity(), "a flipped bit went unnoticed"
    print(f"{len(files)} FIT files read by three decoders: {values} values as in the records")


main(sys.argv[1])
