namespace KvMesh.Protocol.Coding;

/// <summary>A set of kinds of codecs, from 1 to 63: bit k of the word is kind k, as it is sent.</summary>
public readonly record struct CodecKinds(ulong Bits)
{
    /// <summary>Largest kind that can be named.</summary>
    public const ushort Max = 63;

    public bool IsEmpty => Bits <= 1;

    public static CodecKinds Of(IEnumerable<ushort> kinds)
    {
        ArgumentNullException.ThrowIfNull(kinds);
        return new CodecKinds(kinds.Where(kind => kind is > 0 and <= Max).Aggregate(0UL, (bits, kind) => bits | (1UL << kind)));
    }

    public bool Contains(ushort kind) => kind is > 0 and <= Max && (Bits & (1UL << kind)) != 0;
}
