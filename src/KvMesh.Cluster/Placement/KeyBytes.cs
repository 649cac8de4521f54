namespace KvMesh.Cluster.Placement;

/// <summary>Keys as what they are: a thousand nodes name 64,000 of them in a step, and a text of each would be most of what a step allocates.</summary>
internal sealed class KeyBytes : IEqualityComparer<ReadOnlyMemory<byte>>, IComparer<ReadOnlyMemory<byte>>
{
    public static readonly KeyBytes Order = new();

    public bool Equals(ReadOnlyMemory<byte> x, ReadOnlyMemory<byte> y) => x.Span.SequenceEqual(y.Span);

    public int Compare(ReadOnlyMemory<byte> x, ReadOnlyMemory<byte> y) => x.Span.SequenceCompareTo(y.Span);

    public int GetHashCode(ReadOnlyMemory<byte> obj)
    {
        var hash = default(HashCode);
        hash.AddBytes(obj.Span);
        return hash.ToHashCode();
    }
}

/// <summary>A run as one of its keys names it: a prefix its last one.</summary>
internal readonly record struct TailName(string Tenant, ReadOnlyMemory<byte> Key, int Blocks)
{
    public bool Equals(TailName other) =>
        Blocks == other.Blocks && string.Equals(Tenant, other.Tenant, StringComparison.Ordinal) && KeyBytes.Order.Equals(Key, other.Key);

    public override int GetHashCode() => HashCode.Combine(Tenant, Blocks, KeyBytes.Order.GetHashCode(Key));
}
