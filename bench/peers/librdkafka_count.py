"""librdkafka by its Python client: reads a topic from its beginning to its end and only counts.

Fetch sizes are those of our own configuration, which are Kafka's. Messages come in lists of up to 10,000; none of them
is looked at. The queue is librdkafka's own default (100,000 messages, 64 MiB), and a full one is looked at again after
10 ms in place of a second.
"""

import json
import sys

from confluent_kafka import Consumer, TopicPartition
from program_clock import ProgramClock

MESSAGES_AT_ONCE = 10_000
WAIT_S_MAX = 1.0
EMPTY_ANSWERS_MAX = 60


def main():
    clock = ProgramClock()
    settings = json.loads(sys.argv[1])
    topic = settings["topic"]
    consumer = Consumer(
        {
            "bootstrap.servers": settings["kafka"],
            "group.id": "bench-librdkafka",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "fetch.max.bytes": settings["fetchMaxBytes"],
            "max.partition.fetch.bytes": settings["fetchMaxPartitionBytes"],
            "fetch.queue.backoff.ms": 10,
        }
    )
    partitions = consumer.list_topics(topic).topics[topic].partitions
    wanted = 0
    starts = []
    for partition in partitions:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition))
        wanted += high - low
        starts.append(TopicPartition(topic, partition, low))
    consumer.assign(starts)
    count = empty = 0
    while count < wanted and empty < EMPTY_ANSWERS_MAX:
        messages = consumer.consume(num_messages=MESSAGES_AT_ONCE, timeout=WAIT_S_MAX)
        count += len(messages)
        empty = 0 if messages else empty + 1
    # Errors come as messages too: where each partition stands says that there were none.
    positions = consumer.position([TopicPartition(topic, partition) for partition in partitions])
    passed = sum(position.offset - start.offset for position, start in zip(positions, starts))
    assert passed == count == wanted, f"{count} messages, {passed} offsets passed, {wanted} in the topic"
    clock.report(count)
    consumer.close()


main()
