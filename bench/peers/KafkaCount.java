import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Kafka's own consumer: reads a topic from its beginning to its end and only counts.
 *
 * <pre>
 * KafkaCount BOOTSTRAP TOPIC FETCH_MAX_BYTES FETCH_MAX_PARTITION_BYTES
 * KafkaCount version
 * </pre>
 *
 * Fetch sizes are those of our own configuration, which are Kafka's; up to 10,000 messages come at once in place of 500.
 */
public final class KafkaCount {
  private static final String MESSAGES_AT_ONCE = "10000";
  private static final Duration WAIT_MAX = Duration.ofSeconds(1);

  public static void main(String[] args) throws IOException {
    if (args[0].equals("version")) {
      System.out.printf("Java %d KafkaConsumer %s%n", Runtime.version().feature(), clientVersion());
      return;
    }
    var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    double startCpuMs = system.getProcessCpuTime() / 1e6;
    long started = System.nanoTime();
    long count = count(args[1], settings(args));
    double wallMs = (System.nanoTime() - started) / 1e6;
    String report = "{\"messages\":%d,\"workWallMs\":%.3f,\"startCpuMs\":%.3f}%n";
    System.out.printf(Locale.ROOT, report, count, wallMs, startCpuMs);
  }

  /** As the client's own jar has it. */
  private static String clientVersion() throws IOException {
    Properties version = new Properties();
    try (var file = KafkaConsumer.class.getResourceAsStream("/kafka/kafka-version.properties")) {
      version.load(file);
    }
    return version.getProperty("version");
  }

  private static Properties settings(String[] args) {
    Properties settings = new Properties();
    settings.put("bootstrap.servers", args[0]);
    settings.put("fetch.max.bytes", args[2]);
    settings.put("max.partition.fetch.bytes", args[3]);
    settings.put("max.poll.records", MESSAGES_AT_ONCE);
    settings.put("isolation.level", "read_committed");
    settings.put("enable.auto.commit", "false");
    settings.put("auto.offset.reset", "none");
    return settings;
  }

  private static long count(String topic, Properties settings) {
    long count = 0;
    var bytes = new ByteArrayDeserializer();
    try (var consumer = new KafkaConsumer<byte[], byte[]>(settings, bytes, bytes)) {
      List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
        .map(info -> new TopicPartition(topic, info.partition()))
        .toList();
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      while (!isAtEnd(consumer, ends)) {
        for (var message : consumer.poll(WAIT_MAX)) count++;
      }
    }
    return count;
  }

  private static boolean isAtEnd(KafkaConsumer<?, ?> consumer, Map<TopicPartition, Long> ends) {
    for (var end : ends.entrySet()) {
      if (consumer.position(end.getKey()) < end.getValue()) return false;
    }
    return true;
  }
}
