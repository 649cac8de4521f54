using KvMesh.Client.Operations;
using KvMesh.Protocol;
using KvMesh.Protocol.Keys;

namespace KvMesh.Client.Holders;

/// <summary>The blocks of a holder by key. Any thread.</summary>
internal sealed class HeldBlockTable
{
    private readonly Lock _lock = new();
    private readonly Dictionary<ReadOnlyMemory<byte>, HeldBlock> _blocks = new(new KeyComparer());

    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _blocks.Count;
            }
        }
    }

    /// <summary>Adds blocks of a chain; those that are there already stay as they are. Returns the new ones.</summary>
    public List<HeldBlock> Add(BlockScope scope, ReadOnlyMemory<byte> hashes, ReadOnlyMemory<byte> parentHash, int bytes)
    {
        var added = new List<HeldBlock>();
        var own = hashes.ToArray();
        ReadOnlyMemory<byte> parent = parentHash.ToArray();
        lock (_lock)
        {
            for (var start = 0; start < own.Length; start += Limits.ChainHashBytes)
            {
                var block = new HeldBlock(scope, own.AsMemory(start, Limits.ChainHashBytes), parent, bytes);
                if (_blocks.TryAdd(KeyOf(block), block))
                {
                    added.Add(block);
                }

                parent = block.Hash;
            }
        }

        return added;
    }

    public HeldBlock? Find(ReadOnlyMemory<byte> key)
    {
        lock (_lock)
        {
            return _blocks.GetValueOrDefault(key);
        }
    }

    public bool Contains(HeldBlock block) => Find(KeyOf(block)) == block;

    public bool Remove(HeldBlock block)
    {
        lock (_lock)
        {
            return _blocks.Remove(KeyOf(block));
        }
    }

    public void Remove(BlockScope scope, ReadOnlyMemory<byte> hashes)
    {
        lock (_lock)
        {
            for (var start = 0; start < hashes.Length; start += Limits.ChainHashBytes)
            {
                _blocks.Remove(scope.KeyOf(hashes.Span.Slice(start, Limits.ChainHashBytes)));
            }
        }
    }

    public List<HeldBlock> All()
    {
        lock (_lock)
        {
            return [.. _blocks.Values];
        }
    }

    /// <summary>All blocks, cut into requests.</summary>
    public IEnumerable<HeldRun> Runs(int most) => Runs(All(), most);

    /// <summary>Blocks cut into requests of one scope each.</summary>
    public static IEnumerable<HeldRun> Runs(IEnumerable<HeldBlock> blocks, int most) =>
        blocks.GroupBy(static block => Convert.ToHexString(block.Scope.Bytes.Span)).SelectMany(scope => scope.Chunk(most)).Select(static some => new HeldRun(
            KeySelection.Many(some[0].Scope, some.SelectMany(static block => block.Hash.ToArray()).ToArray()), [.. some.Select(static block => block.Bytes)], [.. some]));

    private static byte[] KeyOf(HeldBlock block) => block.Scope.KeyOf(block.Hash.Span);

    private sealed class KeyComparer : IEqualityComparer<ReadOnlyMemory<byte>>
    {
        public bool Equals(ReadOnlyMemory<byte> left, ReadOnlyMemory<byte> right) => left.Span.SequenceEqual(right.Span);

        public int GetHashCode(ReadOnlyMemory<byte> key)
        {
            var hash = new HashCode();
            hash.AddBytes(key.Span);
            return hash.ToHashCode();
        }
    }
}

/// <summary>Blocks that are announced with one request.</summary>
internal readonly record struct HeldRun(KeySelection Keys, int[] Lengths, List<HeldBlock> Blocks);
