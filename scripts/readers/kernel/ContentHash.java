import io.delta.kernel.data.ArrayValue;
import io.delta.kernel.data.ColumnVector;
import io.delta.kernel.data.MapValue;
import io.delta.kernel.types.ArrayType;
import io.delta.kernel.types.BinaryType;
import io.delta.kernel.types.BooleanType;
import io.delta.kernel.types.ByteType;
import io.delta.kernel.types.DataType;
import io.delta.kernel.types.DateType;
import io.delta.kernel.types.DecimalType;
import io.delta.kernel.types.DoubleType;
import io.delta.kernel.types.FloatType;
import io.delta.kernel.types.IntegerType;
import io.delta.kernel.types.LongType;
import io.delta.kernel.types.MapType;
import io.delta.kernel.types.ShortType;
import io.delta.kernel.types.StringType;
import io.delta.kernel.types.StructField;
import io.delta.kernel.types.StructType;
import io.delta.kernel.types.TimestampNTZType;
import io.delta.kernel.types.TimestampType;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** The content hash of a table, as {@code packages/delta/test/content-hash.ts} defines it. */
final class ContentHash {
  private static final int HASH_BYTES = 16;
  private static final HexFormat HEX = HexFormat.of();
  private static final Comparator<String> BY_UTF8 =
      (a, b) -> Arrays.compareUnsigned(a.getBytes(StandardCharsets.UTF_8), b.getBytes(StandardCharsets.UTF_8));

  /** Positions of the columns in the order of their names. */
  private final int[] order;
  private final List<StructField> fields;
  private final MessageDigest sha256;
  private BigInteger sum = BigInteger.ZERO;

  ContentHash(StructType schema) throws NoSuchAlgorithmException {
    fields = schema.fields();
    order =
        IntStream.range(0, fields.size())
            .boxed()
            .sorted((a, b) -> BY_UTF8.compare(fields.get(a).getName(), fields.get(b).getName()))
            .mapToInt(Integer::intValue)
            .toArray();
    sha256 = MessageDigest.getInstance("SHA-256");
  }

  void add(ColumnVector[] columns, int row) {
    StringBuilder text = new StringBuilder("{");
    for (int column : order) {
      StructField field = fields.get(column);
      if (text.length() > 1) text.append(',');
      appendString(text, field.getName());
      append(text.append(':'), columns[column], field.getDataType(), row);
    }
    byte[] digest = sha256.digest(text.append('}').toString().getBytes(StandardCharsets.UTF_8));
    sum = sum.add(new BigInteger(1, Arrays.copyOf(digest, HASH_BYTES)));
  }

  String hex() {
    return String.format("%032x", sum.mod(BigInteger.ONE.shiftLeft(8 * HASH_BYTES)));
  }

  private static void append(StringBuilder text, ColumnVector vector, DataType type, int row) {
    if (vector.isNullAt(row)) text.append("null");
    else if (type instanceof StructType) appendStruct(text, vector, (StructType) type, row);
    else if (type instanceof ArrayType) appendArray(text, vector.getArray(row), (ArrayType) type);
    else if (type instanceof MapType) appendMap(text, vector.getMap(row), (MapType) type);
    else appendSimple(text, vector, type, row);
  }

  private static void appendStruct(StringBuilder text, ColumnVector vector, StructType type, int row) {
    text.append('{');
    for (int i = 0; i < type.length(); i++) {
      StructField field = type.at(i);
      if (i > 0) text.append(',');
      appendString(text, field.getName());
      append(text.append(':'), vector.getChild(i), field.getDataType(), row);
    }
    text.append('}');
  }

  private static void appendArray(StringBuilder text, ArrayValue array, ArrayType type) {
    text.append('[');
    for (int i = 0; i < array.getSize(); i++) {
      if (i > 0) text.append(',');
      append(text, array.getElements(), type.getElementType(), i);
    }
    text.append(']');
  }

  private static void appendMap(StringBuilder text, MapValue map, MapType type) {
    text.append(
        IntStream.range(0, map.getSize())
            .mapToObj(
                i -> {
                  StringBuilder entry = new StringBuilder();
                  append(entry, map.getKeys(), type.getKeyType(), i);
                  append(entry.append(':'), map.getValues(), type.getValueType(), i);
                  return entry.toString();
                })
            .sorted(BY_UTF8)
            .collect(Collectors.joining(",", "<", ">")));
  }

  private static void appendSimple(StringBuilder text, ColumnVector vector, DataType type, int row) {
    if (type instanceof BooleanType) text.append(vector.getBoolean(row));
    else if (type instanceof ByteType) text.append(vector.getByte(row));
    else if (type instanceof ShortType) text.append(vector.getShort(row));
    else if (type instanceof IntegerType) text.append(vector.getInt(row));
    else if (type instanceof LongType) text.append(vector.getLong(row));
    // These two conversions have one bit pattern for NaN.
    else if (type instanceof FloatType)
      text.append('f').append(HEX.toHexDigits(Float.floatToIntBits(vector.getFloat(row))));
    else if (type instanceof DoubleType)
      text.append('d').append(HEX.toHexDigits(Double.doubleToLongBits(vector.getDouble(row))));
    else if (type instanceof DecimalType)
      text.append(vector.getDecimal(row).setScale(((DecimalType) type).getScale()).toPlainString());
    else if (type instanceof StringType) appendString(text, vector.getString(row));
    else if (type instanceof BinaryType) text.append('x').append(HEX.formatHex(vector.getBinary(row)));
    else if (type instanceof DateType) text.append('D').append(vector.getInt(row));
    else if (type instanceof TimestampType) text.append('T').append(vector.getLong(row));
    else if (type instanceof TimestampNTZType) text.append('N').append(vector.getLong(row));
    else throw new UnsupportedOperationException("the content hash has no text for " + type);
  }

  private static void appendString(StringBuilder text, String value) {
    text.append('"');
    for (int i = 0; i < value.length(); i++) {
      char c = value.charAt(i);
      switch (c) {
        case '"' -> text.append("\\\"");
        case '\\' -> text.append("\\\\");
        case '\b' -> text.append("\\b");
        case '\f' -> text.append("\\f");
        case '\n' -> text.append("\\n");
        case '\r' -> text.append("\\r");
        case '\t' -> text.append("\\t");
        default -> {
          if (c < ' ') text.append(String.format("\\u%04x", (int) c));
          else text.append(c);
        }
      }
    }
    text.append('"');
  }
}
