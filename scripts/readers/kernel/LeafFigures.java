import io.delta.kernel.data.ColumnVector;
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
import io.delta.kernel.types.StructType;
import io.delta.kernel.types.TimestampNTZType;
import io.delta.kernel.types.TimestampType;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;

/** Count, nulls, least, greatest and exact sum of one column of simple values: {@code ColumnReading} of readers.ts. */
final class LeafFigures {
  private final DataType type;
  private long count;
  private long nulls;
  private BigDecimal sum;
  /** Of NaN and infinities, which have no exact sum; null without them. */
  private Double specialSum;
  private Comparable<Object> min;
  private Comparable<Object> max;

  private LeafFigures(DataType type) {
    this.type = type;
  }

  /** Figures of all leaves of a column, by path. */
  static void declare(Map<String, LeafFigures> leaves, String path, DataType type) {
    if (type instanceof StructType) {
      ((StructType) type).fields().forEach(f -> declare(leaves, path + "." + f.getName(), f.getDataType()));
    } else if (type instanceof ArrayType) {
      declare(leaves, path + ".element", ((ArrayType) type).getElementType());
    } else if (type instanceof MapType) {
      declare(leaves, path + ".key", ((MapType) type).getKeyType());
      declare(leaves, path + ".value", ((MapType) type).getValueType());
    } else {
      leaves.put(path, new LeafFigures(type));
    }
  }

  /** Adds a row's value to the figures of its leaves. What is inside of a null struct is null. */
  static void add(Map<String, LeafFigures> leaves, String path, DataType type, ColumnVector vector, int row) {
    boolean isNull = vector == null || vector.isNullAt(row);
    if (type instanceof StructType) {
      StructType struct = (StructType) type;
      for (int i = 0; i < struct.length(); i++) {
        ColumnVector child = isNull ? null : vector.getChild(i);
        add(leaves, path + "." + struct.at(i).getName(), struct.at(i).getDataType(), child, row);
      }
    } else if (type instanceof ArrayType) {
      if (isNull) return;
      var array = vector.getArray(row);
      addAll(leaves, path + ".element", ((ArrayType) type).getElementType(), array.getElements(), array.getSize());
    } else if (type instanceof MapType) {
      if (isNull) return;
      var map = vector.getMap(row);
      addAll(leaves, path + ".key", ((MapType) type).getKeyType(), map.getKeys(), map.getSize());
      addAll(leaves, path + ".value", ((MapType) type).getValueType(), map.getValues(), map.getSize());
    } else {
      leaves.get(path).add(isNull ? null : vector, row);
    }
  }

  private static void addAll(
      Map<String, LeafFigures> leaves, String path, DataType type, ColumnVector values, int size) {
    for (int i = 0; i < size; i++) add(leaves, path, type, values, i);
  }

  private void add(ColumnVector vector, int row) {
    if (vector == null) {
      nulls++;
      return;
    }
    count++;
    if (type instanceof BooleanType) {
      boolean value = vector.getBoolean(row);
      addNumber(BigDecimal.valueOf(value ? 1 : 0), value);
    } else if (type instanceof ByteType) addInteger(vector.getByte(row));
    else if (type instanceof ShortType) addInteger(vector.getShort(row));
    else if (type instanceof IntegerType) addInteger(vector.getInt(row));
    else if (type instanceof LongType) addInteger(vector.getLong(row));
    else if (type instanceof DateType) addInteger(vector.getInt(row));
    else if (type instanceof TimestampType || type instanceof TimestampNTZType) addInteger(vector.getLong(row));
    else if (type instanceof FloatType) addFloat(vector.getFloat(row));
    else if (type instanceof DoubleType) addFloat(vector.getDouble(row));
    else if (type instanceof DecimalType) {
      BigDecimal value = vector.getDecimal(row).setScale(((DecimalType) type).getScale());
      addNumber(value, value);
    } else if (type instanceof StringType) addBytes(vector.getString(row).getBytes(StandardCharsets.UTF_8));
    else if (type instanceof BinaryType) addBytes(vector.getBinary(row));
    else throw new UnsupportedOperationException("no figures of " + type);
  }

  private void addInteger(long value) {
    addNumber(BigDecimal.valueOf(value), value);
  }

  private void addFloat(double value) {
    if (Double.isFinite(value)) addNumber(new BigDecimal(value), value + 0.0);
    else {
      specialSum = (specialSum == null ? 0 : specialSum) + value;
      if (!Double.isNaN(value)) bound(value);
    }
  }

  private void addBytes(byte[] value) {
    addNumber(BigDecimal.valueOf(value.length), new Bytes(value));
  }

  private void addNumber(BigDecimal addend, Comparable<?> value) {
    sum = sum == null ? addend : sum.add(addend);
    bound(value);
  }

  @SuppressWarnings("unchecked")
  private void bound(Comparable<?> value) {
    Comparable<Object> comparable = (Comparable<Object>) value;
    if (min == null || comparable.compareTo(min) < 0) min = comparable;
    if (max == null || comparable.compareTo(max) > 0) max = comparable;
  }

  Map<String, Object> asJson() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("type", arrowName());
    json.put("count", count);
    json.put("nulls", nulls);
    json.put("min", text(min));
    json.put("max", text(max));
    json.put("sum", sumText());
    return json;
  }

  private String sumText() {
    boolean isFloat = type instanceof FloatType || type instanceof DoubleType;
    if (specialSum != null) return specialSum.toString();
    if (sum == null) return null;
    return isFloat ? Double.toString(sum.doubleValue()) : sum.toPlainString();
  }

  private String text(Object value) {
    if (value == null) return null;
    if (value instanceof BigDecimal) return ((BigDecimal) value).toPlainString();
    if (value instanceof Bytes) {
      byte[] bytes = ((Bytes) value).bytes;
      return type instanceof BinaryType ? HexFormat.of().formatHex(bytes) : new String(bytes, StandardCharsets.UTF_8);
    }
    return value.toString();
  }

  private String arrowName() {
    if (type instanceof BooleanType) return "bool";
    if (type instanceof ByteType) return "int8";
    if (type instanceof ShortType) return "int16";
    if (type instanceof IntegerType) return "int32";
    if (type instanceof LongType) return "int64";
    if (type instanceof DateType) return "date32[day]";
    if (type instanceof TimestampType) return "timestamp[us, tz=UTC]";
    if (type instanceof TimestampNTZType) return "timestamp[us]";
    if (type instanceof StringType) return "large_string";
    if (type instanceof BinaryType) return "large_binary";
    if (type instanceof DecimalType) {
      DecimalType decimal = (DecimalType) type;
      return "decimal128(" + decimal.getPrecision() + ", " + decimal.getScale() + ")";
    }
    return type.toString();
  }

  private static final class Bytes implements Comparable<Bytes> {
    final byte[] bytes;

    Bytes(byte[] bytes) {
      this.bytes = bytes;
    }

    @Override
    public int compareTo(Bytes other) {
      return Arrays.compareUnsigned(bytes, other.bytes);
    }
  }
}
