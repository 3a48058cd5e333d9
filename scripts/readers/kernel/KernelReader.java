import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.delta.kernel.Meta;
import io.delta.kernel.Scan;
import io.delta.kernel.Snapshot;
import io.delta.kernel.SnapshotBuilder;
import io.delta.kernel.TableManager;
import io.delta.kernel.data.ColumnVector;
import io.delta.kernel.data.ColumnarBatch;
import io.delta.kernel.data.FilteredColumnarBatch;
import io.delta.kernel.data.Row;
import io.delta.kernel.defaults.engine.DefaultEngine;
import io.delta.kernel.engine.Engine;
import io.delta.kernel.engine.FileReadResult;
import io.delta.kernel.internal.InternalScanFileUtils;
import io.delta.kernel.internal.data.ScanStateRow;
import io.delta.kernel.internal.util.Utils;
import io.delta.kernel.types.StructField;
import io.delta.kernel.types.StructType;
import io.delta.kernel.utils.CloseableIterator;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;

/**
 * Reads Delta tables with Delta Kernel: its own replay of the log, Parquet by parquet-mr. Requests and answers are those
 * of {@code read_table.py}, one a line, of the engine {@code kernel-java}; tables are folders of this machine.
 */
public final class KernelReader {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Engine engine = DefaultEngine.create(new Configuration());
  private final JsonNode request;
  private final Snapshot snapshot;
  private final StructType schema;
  private final Map<String, LeafFigures> leaves = new LinkedHashMap<>();
  private final ContentHash hash;
  private long rowCount;

  private KernelReader(JsonNode request) throws Exception {
    this.request = request;
    SnapshotBuilder builder = TableManager.loadSnapshot(request.get("uri").asText());
    JsonNode version = request.path("version");
    snapshot = (version.isNumber() ? builder.atVersion(version.asLong()) : builder).build(engine);
    schema = snapshot.getSchema();
    hash = new ContentHash(schema);
    for (StructField field : schema.fields()) LeafFigures.declare(leaves, field.getName(), field.getDataType());
  }

  public static void main(String[] args) throws Exception {
    // What a library prints must not look like an answer.
    PrintStream answers = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
    System.setOut(System.err);
    BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = requests.readLine(); line != null; line = requests.readLine()) {
      answers.println(JSON.writeValueAsString(answerTo(JSON.readTree(line))));
    }
  }

  private static Map<String, Object> answerTo(JsonNode request) {
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("engine", "kernel-java");
    try {
      answer.putAll(new KernelReader(request).read());
    } catch (Exception | LinkageError | OutOfMemoryError error) {
      answer.put("error", describe(error));
    }
    return answer;
  }

  private static String describe(Throwable error) {
    StringBuilder text = new StringBuilder(error.toString());
    for (Throwable cause = error.getCause(); cause != null; cause = cause.getCause()) text.append(": ").append(cause);
    return text.toString().replace('\n', ' ');
  }

  private Map<String, Object> read() throws Exception {
    Scan scan = snapshot.getScanBuilder().build();
    Row state = scan.getScanState(engine);
    try (CloseableIterator<FilteredColumnarBatch> files = scan.getScanFiles(engine)) {
      while (files.hasNext()) {
        try (CloseableIterator<Row> batch = files.next().getRows()) {
          while (batch.hasNext()) readFile(state, batch.next());
        }
      }
    }
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("engineVersion", Meta.KERNEL_VERSION);
    answer.put("version", snapshot.getVersion());
    answer.put("rowCount", rowCount);
    Map<String, Object> columns = new LinkedHashMap<>();
    leaves.forEach((path, figures) -> columns.put(path, figures.asJson()));
    answer.put("columns", columns);
    if (request.path("contentHash").asBoolean()) answer.put("contentHash", hash.hex());
    answer.put("txns", txns());
    return answer;
  }

  private void readFile(Row state, Row file) throws Exception {
    StructType stored = ScanStateRow.getPhysicalDataReadSchema(state);
    CloseableIterator<ColumnarBatch> rows =
        engine
            .getParquetHandler()
            .readParquetFiles(
                Utils.singletonCloseableIterator(InternalScanFileUtils.getAddFileStatus(file)), stored, Optional.empty())
            .map(FileReadResult::getData);
    try (CloseableIterator<FilteredColumnarBatch> batches = Scan.transformPhysicalData(engine, state, file, rows)) {
      while (batches.hasNext()) add(batches.next());
    }
  }

  private void add(FilteredColumnarBatch filtered) {
    ColumnarBatch batch = filtered.getData();
    Optional<ColumnVector> selection = filtered.getSelectionVector();
    List<StructField> fields = schema.fields();
    ColumnVector[] columns = new ColumnVector[fields.size()];
    for (int i = 0; i < columns.length; i++) {
      columns[i] = batch.getColumnVector(batch.getSchema().indexOf(fields.get(i).getName()));
    }
    boolean hashed = request.path("contentHash").asBoolean();
    for (int row = 0; row < batch.getSize(); row++) {
      if (selection.isPresent() && (selection.get().isNullAt(row) || !selection.get().getBoolean(row))) continue;
      rowCount++;
      if (hashed) hash.add(columns, row);
      for (int i = 0; i < columns.length; i++) {
        StructField field = fields.get(i);
        LeafFigures.add(leaves, field.getName(), field.getDataType(), columns[i], row);
      }
    }
  }

  private Map<String, Long> txns() {
    Map<String, Long> found = new TreeMap<>();
    for (JsonNode appId : request.path("appIds")) {
      found.put(appId.asText(), snapshot.getLatestTransactionVersion(engine, appId.asText()).orElse(null));
    }
    return found;
  }
}
