"""librdkafka's mock cluster: a broker that speaks Kafka's protocol. Writes its port to a file."""

import signal
import sys

from confluent_kafka import Producer

cluster = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1})
# The mock makes a topic when it is asked for by name.
for topic in ("changes", "odd", "story"):
    cluster.list_topics(topic, timeout=10)
broker = next(iter(cluster.list_topics(timeout=10).brokers.values()))
with open(sys.argv[1], "w", encoding="ascii") as file:
    file.write(str(broker.port))
signal.pause()
