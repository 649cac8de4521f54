using System.Collections.Immutable;
using System.Text.Json;

namespace KvMesh.Worker.Model.Files;

/// <summary>
/// Reads the header of a safetensors file: eight bytes of length, then JSON that gives each tensor an element, a shape and a range of bytes. Nothing
/// of it is believed: ranges must fit shapes, must not overlap, and must cover the file without a gap.
/// </summary>
internal static class SafetensorsHeader
{
    /// <summary>Bytes of the number in front of the header.</summary>
    public const int PrefixBytes = sizeof(ulong);

    /// <summary>Longest header: the limit of the format's own reader.</summary>
    public const long MaxBytes = 100_000_000;

    private const int MaxRank = 8;
    private const string MetadataName = "__metadata__";

    /// <summary>How long the header is, given the first bytes of a file.</summary>
    public static int ReadLength(string file, ReadOnlySpan<byte> prefix, long fileBytes)
    {
        if (fileBytes < PrefixBytes)
        {
            throw new ModelFileException(file, $"the file has {fileBytes} bytes; a safetensors file begins with a length of {PrefixBytes}.");
        }

        var length = System.Buffers.Binary.BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        var limit = (ulong)Math.Min(MaxBytes, fileBytes - PrefixBytes);
        if (length < 2 || length > limit)
        {
            throw new ModelFileException(file, $"the header length is {length} bytes; it must be from 2 to {limit} (file of {fileBytes} bytes, at most {MaxBytes}).");
        }

        return (int)length;
    }

    /// <summary>The tensors of a header, by name.</summary>
    /// <param name="file">Its name, for errors.</param>
    /// <param name="header">The JSON, without the length.</param>
    /// <param name="dataBytes">Bytes of the file behind the header.</param>
    public static Dictionary<string, TensorEntry> Parse(string file, ReadOnlySpan<byte> header, long dataBytes)
    {
        var reader = new Utf8JsonReader(header, new JsonReaderOptions { MaxDepth = 4 });
        try
        {
            var tensors = ReadTensors(file, ref reader);
            CheckRanges(file, tensors.Values, dataBytes);
            return tensors;
        }
        catch (JsonException e)
        {
            throw new ModelFileException(file, $"the header is not the JSON of safetensors: {e.Message}", e);
        }
        catch (InvalidOperationException e)
        {
            throw new ModelFileException(file, $"the header is not the JSON of safetensors: {e.Message}", e);
        }
    }

    private static Dictionary<string, TensorEntry> ReadTensors(string file, ref Utf8JsonReader reader)
    {
        var tensors = new Dictionary<string, TensorEntry>(StringComparer.Ordinal);
        var hasMetadata = false;
        Expect(file, ref reader, JsonTokenType.StartObject, "the header");
        while (Next(file, ref reader) == JsonTokenType.PropertyName)
        {
            var name = reader.GetString()!;
            if (name == MetadataName)
            {
                if (hasMetadata)
                {
                    throw new ModelFileException(file, $"'{MetadataName}' appears twice.");
                }

                hasMetadata = true;
                Expect(file, ref reader, JsonTokenType.StartObject, MetadataName);
                reader.Skip();
                continue;
            }

            if (!tensors.TryAdd(name, ReadTensor(file, name, ref reader)))
            {
                throw new ModelFileException(file, $"tensor '{name}' appears twice.");
            }
        }

        // Writers pad the header with spaces, which the reader takes; anything else behind the object is an error.
        if (reader.Read())
        {
            throw new ModelFileException(file, "there is more behind the object of the header.");
        }

        return tensors;
    }

    private static TensorEntry ReadTensor(string file, string name, ref Utf8JsonReader reader)
    {
        TensorElement? element = null;
        ImmutableArray<long>? shape = null;
        ImmutableArray<long>? range = null;
        Expect(file, ref reader, JsonTokenType.StartObject, $"tensor '{name}'");
        while (Next(file, ref reader) == JsonTokenType.PropertyName)
        {
            var field = reader.GetString();
            switch (field)
            {
                case "dtype" when element is null:
                    Expect(file, ref reader, JsonTokenType.String, $"dtype of '{name}'");
                    var text = reader.GetString()!;
                    element = TensorElements.TryParse(text, out var known) ? known : throw new ModelFileException(file, $"tensor '{name}': dtype '{text}' is unknown.");
                    break;
                case "shape" when shape is null:
                    shape = ReadNumbers(file, $"shape of '{name}'", MaxRank, ref reader);
                    break;
                case "data_offsets" when range is null:
                    range = ReadNumbers(file, $"data_offsets of '{name}'", 2, ref reader);
                    break;
                default:
                    throw new ModelFileException(file, $"tensor '{name}': field '{field}' is unknown or appears twice; there are dtype, shape and data_offsets.");
            }
        }

        if (element is not { } stored || shape is not { } dimensions || range is not { Length: 2 } ends)
        {
            throw new ModelFileException(file, $"tensor '{name}' needs dtype, shape and two data_offsets.");
        }

        var bytes = Bytes(file, name, stored, dimensions);
        if (ends[0] > ends[1] || ends[1] - ends[0] != bytes)
        {
            throw new ModelFileException(file, $"tensor '{name}': data_offsets [{ends[0]}, {ends[1]}] must span the {bytes} bytes of {stored} [{string.Join(", ", dimensions)}].");
        }

        return new TensorEntry(name, stored, dimensions, ends[0], bytes);
    }

    private static long Bytes(string file, string name, TensorElement element, ImmutableArray<long> shape)
    {
        try
        {
            return shape.Aggregate((long)element.Bytes(), (product, dimension) => checked(product * dimension));
        }
        catch (OverflowException e)
        {
            throw new ModelFileException(file, $"tensor '{name}': shape [{string.Join(", ", shape)}] has more than {long.MaxValue} bytes.", e);
        }
    }

    private static ImmutableArray<long> ReadNumbers(string file, string what, int limit, ref Utf8JsonReader reader)
    {
        var numbers = ImmutableArray.CreateBuilder<long>();
        Expect(file, ref reader, JsonTokenType.StartArray, what);
        while (Next(file, ref reader) != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out var number) || number < 0)
            {
                throw new ModelFileException(file, $"{what}: {System.Text.Encoding.UTF8.GetString(reader.ValueSpan)} must be a whole number from 0 to {long.MaxValue}.");
            }

            numbers.Add(number);
            if (numbers.Count > limit)
            {
                throw new ModelFileException(file, $"{what} has more than {limit} numbers.");
            }
        }

        return numbers.ToImmutable();
    }

    private static void CheckRanges(string file, IEnumerable<TensorEntry> tensors, long dataBytes)
    {
        var end = 0L;
        foreach (var tensor in tensors.OrderBy(tensor => tensor.Offset).ThenBy(tensor => tensor.Bytes))
        {
            if (tensor.Offset != end)
            {
                var problem = tensor.Offset < end ? "overlaps the one before, which ends" : "leaves a gap behind the one before, which ends";
                throw new ModelFileException(file, $"tensor '{tensor.Name}' at byte {tensor.Offset} {problem} at {end}.");
            }

            if (tensor.Bytes > dataBytes - tensor.Offset)
            {
                throw new ModelFileException(file, $"tensor '{tensor.Name}' ends at byte {tensor.Offset} + {tensor.Bytes}; the file has {dataBytes} behind its header.");
            }

            end += tensor.Bytes;
        }

        if (end != dataBytes)
        {
            throw new ModelFileException(file, $"tensors end at byte {end}; the file has {dataBytes} behind its header.");
        }
    }

    private static void Expect(string file, ref Utf8JsonReader reader, JsonTokenType type, string what)
    {
        var found = Next(file, ref reader);
        if (found != type)
        {
            throw new ModelFileException(file, $"{what} must be a {type}, not a {found}.");
        }
    }

    private static JsonTokenType Next(string file, ref Utf8JsonReader reader) =>
        reader.Read() ? reader.TokenType : throw new ModelFileException(file, "the header ends too early.");
}
