"""Makes users of a MongoDB that asks for none yet, for its next start. Argument: its port."""

import sys

import pymongo

client = pymongo.MongoClient("127.0.0.1", int(sys.argv[1]), directConnection=True)
for name, role in [("writer", "readWrite"), ("reader", "read")]:
    roles = [{"role": role, "db": "rights"}]
    client.admin.command("createUser", name, pwd="right", roles=roles)
