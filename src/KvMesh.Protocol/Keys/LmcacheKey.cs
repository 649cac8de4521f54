using System.Buffers;

namespace KvMesh.Protocol.Keys;

/// <summary>Which of LMCache's keys for one chunk a key is.</summary>
public enum LmcacheHalf
{
    /// <summary>The chunk under a single key.</summary>
    Whole,

    /// <summary><c>kv_bytes</c>: the chunk's bytes, described by a <see cref="Metadata"/> of its own.</summary>
    Bytes,

    /// <summary><c>metadata</c>: 28 bytes that say how to read the <see cref="Bytes"/>.</summary>
    Metadata,
}

/// <summary>
/// Where the fields of an LMCache key lie. All generations join fields with <c>@</c>, and the last may carry a suffix that names
/// one half of a pair:
/// <code>
/// model@world_size@worker_id@chunk_hash@dtype[@layer_id][@tag%value...]      in process
/// format@model@world_size@worker_id@chunk_hash[@tag%value...]                in process, 2024 and 2025
/// [prefix@]model@kv_rank@[object_group@]chunk_hash[@salt]                    multi process
/// </code>
/// A key that fits none of them means nothing to us. Parsed by hand because every command on such a key comes through here.
/// </summary>
public readonly record struct LmcacheKey
{
    /// <summary>Suffix of the key that holds the bytes of a pair.</summary>
    public static ReadOnlySpan<byte> BytesSuffix => "kv_bytes"u8;

    /// <summary>Suffix of the key that holds the description of a pair.</summary>
    public static ReadOnlySpan<byte> MetadataSuffix => "metadata"u8;

    private static readonly SearchValues<byte> LowerHex = SearchValues.Create("0123456789abcdef"u8);

    private const int MaxFields = 16;
    private const int ShortestByteHash = 16;
    private const int RankDigits = 8;
    private const int MaxGroupDigits = 4;
    private const int MaxIntegerDigits = 10;

    /// <summary>Longest chunk hash: 64 bytes in hex.</summary>
    private const int LongestHash = 128;

    /// <summary>Name of the model.</summary>
    public Range Model { get; private init; }

    /// <summary>The chunk hash: all keys of a chain agree in what is before it and after it.</summary>
    public Range Hash { get; private init; }

    /// <summary>Length of the key without the suffix of a half.</summary>
    public int BaseBytes { get; private init; }

    public LmcacheHalf Half { get; private init; }

    public static bool TryParse(ReadOnlySpan<byte> key, out LmcacheKey parsed)
    {
        var half = key.EndsWith(BytesSuffix) ? LmcacheHalf.Bytes : key.EndsWith(MetadataSuffix) ? LmcacheHalf.Metadata : LmcacheHalf.Whole;
        var text = half == LmcacheHalf.Whole ? key : key[..^BytesSuffix.Length];

        Span<Range> fields = stackalloc Range[MaxFields + 1];
        var count = Split(text, fields);
        parsed = default;
        if (count is < 3 or > MaxFields)
        {
            return false;
        }

        fields = fields[..count];
        if (!TryInProcess(text, fields, out var model, out var hash) && !TryMultiProcess(text, fields, out model, out hash))
        {
            return false;
        }

        parsed = new LmcacheKey { Model = fields[model], Hash = fields[hash], BaseBytes = text.Length, Half = half };
        return text[parsed.Model].Length > 0;
    }

    private static bool TryInProcess(ReadOnlySpan<byte> text, ReadOnlySpan<Range> fields, out int model, out int hash)
    {
        // The model comes first, or second behind the format of the older generation.
        for (model = 0; model < 2 && model + 3 < fields.Length; model++)
        {
            hash = model + 3;
            if (!IsNumber(text[fields[model + 1]]) || !IsNumber(text[fields[model + 2]]) || !IsChunkHash(text[fields[hash]]))
            {
                continue;
            }

            var rest = fields[(hash + 1)..];
            if (!rest.IsEmpty && IsDtype(text[rest[0]]))
            {
                rest = rest[1..];
                if (!rest.IsEmpty && IsNumber(text[rest[0]]))
                {
                    rest = rest[1..];
                }
            }
            else if (model == 0)
            {
                // Only the older generation, with its format in front, goes without a dtype.
                continue;
            }

            if (AreTags(text, rest))
            {
                return true;
            }
        }

        hash = 0;
        return false;
    }

    private static bool TryMultiProcess(ReadOnlySpan<byte> text, ReadOnlySpan<Range> fields, out int model, out int hash)
    {
        // The model comes first, or second behind the prefix that the valkey adapter may add.
        for (model = 0; model < 2 && model + 2 < fields.Length; model++)
        {
            var rank = text[fields[model + 1]];
            if (rank.Length != RankDigits || !IsLowerHex(rank))
            {
                continue;
            }

            hash = model + 2;
            var group = text[fields[hash]];
            if (group.Length is > 0 and <= MaxGroupDigits && IsLowerHex(group) && hash + 1 < fields.Length)
            {
                hash++;
            }

            var digits = text[fields[hash]];
            if (digits.Length is >= ShortestByteHash and <= LongestHash && IsLowerHex(digits) && fields.Length - hash <= 2)
            {
                return true;
            }
        }

        hash = 0;
        return false;
    }

    /// <summary>Returns the number of fields, or one more than fit.</summary>
    private static int Split(ReadOnlySpan<byte> text, Span<Range> fields)
    {
        var start = 0;
        for (var count = 0; count < fields.Length; count++)
        {
            var length = text[start..].IndexOf((byte)'@');
            if (length < 0)
            {
                fields[count] = start..text.Length;
                return count + 1;
            }

            fields[count] = start..(start + length);
            start += length + 1;
        }

        return fields.Length + 1;
    }

    private static bool AreTags(ReadOnlySpan<byte> text, ReadOnlySpan<Range> fields)
    {
        foreach (var field in fields)
        {
            if (text[field].IndexOf((byte)'%') <= 0)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Lower-case hex, with a minus in front when the client's hash was a negative integer.</summary>
    private static bool IsChunkHash(ReadOnlySpan<byte> field)
    {
        var digits = field.StartsWith((byte)'-') ? field[1..] : field;
        return digits.Length is > 0 and <= LongestHash && IsLowerHex(digits);
    }

    private static bool IsLowerHex(ReadOnlySpan<byte> field) => field.IndexOfAnyExcept(LowerHex) < 0;

    private static bool IsNumber(ReadOnlySpan<byte> field) =>
        field.Length is > 0 and <= MaxIntegerDigits && field.IndexOfAnyExceptInRange((byte)'0', (byte)'9') < 0;

    private static bool IsDtype(ReadOnlySpan<byte> field) => field.Length switch
    {
        4 => field.SequenceEqual("half"u8) || field.SequenceEqual("int8"u8) || field.SequenceEqual("bool"u8),
        5 => field.SequenceEqual("float"u8) || field.SequenceEqual("uint8"u8) || field.SequenceEqual("int16"u8)
            || field.SequenceEqual("int32"u8) || field.SequenceEqual("int64"u8),
        6 => field.SequenceEqual("double"u8),
        _ => field.SequenceEqual("bfloat16"u8) || field.SequenceEqual("fp8_e4m3fn"u8) || field.SequenceEqual("fp8_e4m3fnuz"u8)
            || field.SequenceEqual("fp8_e5m2"u8) || field.SequenceEqual("fp8_e5m2fnuz"u8),
    };
}
