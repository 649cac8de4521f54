using System.Buffers.Binary;

namespace KvMesh.Protocol.Keys;

/// <summary>How the bytes of an LMCache chunk lie, as its clients number it. Others may come: they mean nothing to us.</summary>
public enum LmcacheFormat
{
    /// <summary>[K and V, layer, token, hidden].</summary>
    KeysValuesLayers = 1,

    /// <summary>[token, K and V, hidden]: one layer.</summary>
    TokensKeysValues = 2,

    /// <summary>[K and V, token, hidden]: one layer.</summary>
    KeysValuesTokens = 3,

    /// <summary>[1, layer, token, hidden]: latent attention.</summary>
    Latent = 6,
}

/// <summary>One group of layers of a chunk: number of its element, and its dimensions, outermost first, with zeros behind the last.</summary>
public readonly record struct LmcacheGroup(int Element, int First, int Second, int Third, int Fourth)
{
    /// <summary>Bytes of one element; 0 when it is not known.</summary>
    public int ElementBytes => Element switch
    {
        1 or 2 or 3 => 2,
        4 => 4,
        5 => 8,
        6 or 7 or 8 => 1,
        _ => 0,
    };

    /// <summary>Bytes of the group; 0 when its element is not known.</summary>
    public long Bytes => ElementBytes * (long)First * Math.Max(Second, 1) * Math.Max(Third, 1) * Math.Max(Fourth, 1);
}

/// <summary>
/// What an LMCache client writes beside the bytes of a chunk: int32 little endian length and format, then for each group of layers number of the
/// element and four dimensions. 28 bytes for one group, which is what nearly all models have.
/// </summary>
public readonly ref struct LmcacheMetadata
{
    private const int HeadBytes = 2 * sizeof(int);
    private const int GroupBytes = 5 * sizeof(int);

    /// <summary>Most groups: models mix a handful of kinds of layers.</summary>
    public const int MaxGroups = 16;

    /// <summary>Longest description.</summary>
    public const int MaxBytes = HeadBytes + (MaxGroups * GroupBytes);

    private readonly ReadOnlySpan<byte> _groups;

    private LmcacheMetadata(int payloadBytes, LmcacheFormat format, ReadOnlySpan<byte> groups)
    {
        PayloadBytes = payloadBytes;
        Format = format;
        _groups = groups;
    }

    /// <summary>Bytes of the chunk.</summary>
    public int PayloadBytes { get; }

    /// <summary>Any number that a client wrote.</summary>
    public LmcacheFormat Format { get; }

    public int GroupCount => _groups.Length / GroupBytes;

    /// <summary>
    /// Reads a description. False when it is none: another length, a dimension below zero or behind a zero, or numbers that do not come to the
    /// length that it says, as far as the elements are known.
    /// </summary>
    public static bool TryRead(ReadOnlySpan<byte> value, out LmcacheMetadata metadata)
    {
        metadata = default;
        if (value.Length is < HeadBytes + GroupBytes or > MaxBytes || (value.Length - HeadBytes) % GroupBytes != 0)
        {
            return false;
        }

        var payloadBytes = BinaryPrimitives.ReadInt32LittleEndian(value);
        metadata = new LmcacheMetadata(payloadBytes, (LmcacheFormat)BinaryPrimitives.ReadInt32LittleEndian(value[sizeof(int)..]), value[HeadBytes..]);
        return payloadBytes is > 0 and <= Limits.MaxBlockBytes && metadata.Agrees();
    }

    /// <summary>A group of layers, from 0 to <see cref="GroupCount"/>.</summary>
    public LmcacheGroup Group(int index)
    {
        var group = _groups.Slice(index * GroupBytes, GroupBytes);
        return new LmcacheGroup(Number(group, 0), Number(group, 1), Number(group, 2), Number(group, 3), Number(group, 4));
    }

    private static int Number(ReadOnlySpan<byte> group, int index) => BinaryPrimitives.ReadInt32LittleEndian(group[(index * sizeof(int))..]);

    private bool Agrees()
    {
        var bytes = 0L;
        var areKnown = true;
        for (var index = 0; index < GroupCount; index++)
        {
            var group = Group(index);
            if (!HasDimensions(group))
            {
                return false;
            }

            areKnown &= group.ElementBytes > 0;
            bytes += group.Bytes;
        }

        return !areKnown || bytes == PayloadBytes;
    }

    /// <summary>Whether the dimensions are numbers that a chunk can have: then none of their products overflows.</summary>
    private static bool HasDimensions(in LmcacheGroup group)
    {
        ReadOnlySpan<int> dimensions = [group.First, group.Second, group.Third, group.Fourth];
        var product = 1L;
        var isOver = false;
        foreach (var dimension in dimensions)
        {
            if (dimension < 0 || (isOver && dimension != 0))
            {
                return false;
            }

            isOver |= dimension == 0;
            product *= Math.Max(dimension, 1);
            if (product > Limits.MaxBlockBytes)
            {
                return false;
            }
        }

        return group.First > 0;
    }
}
