import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Writes transactions with Kafka's own client, one command a line on standard input, one answer a line on standard
 * output, so that a test decides how transactions interleave and looks at the topic in between. Fields are separated
 * by tabs; a producer is named by its transactional id and made when first named.
 *
 * <pre>
 * begin  ID                        -> ok
 * send   ID TOPIC PARTITION VALUE… -> ok FIRST-OFFSET   one record for each value (base64), written before the answer
 * commit ID                        -> ok
 * abort  ID                        -> ok
 * </pre>
 *
 * A command that fails answers {@code error MESSAGE}. At the end of the input transactions still open stay open: the
 * process ends at once, as a crashed producer does, and the broker aborts them when their time is over.
 */
public final class TransactionWriter {
  private static final int TRANSACTION_TIMEOUT_MS = 600_000;

  private final String bootstrapServers;
  private final String compression;
  private final Map<String, KafkaProducer<byte[], byte[]>> producers = new HashMap<>();

  private TransactionWriter(String bootstrapServers, String compression) {
    this.bootstrapServers = bootstrapServers;
    this.compression = compression;
  }

  public static void main(String[] args) throws Exception {
    TransactionWriter writer = new TransactionWriter(args[0], args[1]);
    BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = commands.readLine(); line != null; line = commands.readLine()) {
      System.out.println(writer.answer(line.split("\t", -1)));
      System.out.flush();
    }
    Runtime.getRuntime().halt(0);
  }

  private String answer(String[] command) {
    try {
      KafkaProducer<byte[], byte[]> producer = producers.computeIfAbsent(command[1], this::create);
      switch (command[0]) {
        case "begin":
          producer.beginTransaction();
          return "ok";
        case "send":
          return "ok\t" + send(producer, command);
        case "commit":
          producer.commitTransaction();
          return "ok";
        case "abort":
          producer.abortTransaction();
          return "ok";
        default:
          return "error\tunknown command " + command[0];
      }
    } catch (Exception problem) {
      return "error\t" + problem.toString().replace('\n', ' ').replace('\t', ' ');
    }
  }

  private static long send(KafkaProducer<byte[], byte[]> producer, String[] command) throws Exception {
    List<Future<RecordMetadata>> sent = new ArrayList<>();
    for (int index = 4; index < command.length; index++) {
      byte[] value = Base64.getDecoder().decode(command[index]);
      sent.add(producer.send(new ProducerRecord<>(command[2], Integer.valueOf(command[3]), null, value)));
    }
    producer.flush();
    long first = -1;
    for (Future<RecordMetadata> record : sent) {
      long offset = record.get().offset();
      first = first < 0 ? offset : Math.min(first, offset);
    }
    return first;
  }

  private KafkaProducer<byte[], byte[]> create(String transactionalId) {
    Map<String, Object> config = new HashMap<>();
    config.put("bootstrap.servers", bootstrapServers);
    config.put("transactional.id", transactionalId);
    config.put("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS);
    config.put("compression.type", compression);
    // Records of one command travel together; `flush` ends the wait.
    config.put("linger.ms", 60_000);
    config.put("delivery.timeout.ms", 120_000);
    KafkaProducer<byte[], byte[]> producer =
        new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
    producer.initTransactions();
    return producer;
  }
}
