using System.Collections.Concurrent;
using KvMesh.Cluster.Placement.Nodes;

namespace KvMesh.Cluster.Tests.Placement.Nodes;

/// <summary>
/// Blocks of a node in memory. A fetch waits until the test lets it come, or comes at once from <see cref="Source"/>.
/// </summary>
internal sealed class MemoryBlocks : INodeBlocks
{
    public const int BlockBytes = 1000;

    private readonly ConcurrentDictionary<string, byte[]> _blocks = new();
    private readonly ConcurrentDictionary<string, string> _parents = new();

    /// <summary>Fetches that wait, in the order in which they were asked for.</summary>
    public ConcurrentQueue<(string Key, Action<BlockArrival> Complete)> Waiting { get; } = new();

    /// <summary>Bytes of a block that the test lets come.</summary>
    public long ArrivingBytes { get; init; } = BlockBytes;

    /// <summary>Held up while not null: reading a block back waits for it.</summary>
    public Task? HoldsWaitFor { get; set; }

    /// <summary>Says whether a block can be had; null: fetches wait for the test.</summary>
    public Func<ReadOnlyMemory<byte>, bool>? Source { get; set; }

    public ConcurrentDictionary<string, bool> Held { get; } = new();

    /// <summary>Blocks of which no copy may lose anything.</summary>
    public ConcurrentDictionary<string, bool> Lossless { get; } = new();

    /// <summary>Blocks that are kept at most.</summary>
    public int MaxHeld { get; set; } = int.MaxValue;

    public IReadOnlyList<string> Tenants { get; init; } = ["t"];

    public (long CapacityBytes, long FreeBytes) Room => (1 << 30, (1 << 30) - (_blocks.Count * BlockBytes));

    public (long Bytes, TimeSpan Time) Served => default;

    public int Count => _blocks.Count;

    public void Put(ReadOnlyMemory<byte> key, ReadOnlyMemory<byte>? parent = null)
    {
        _blocks[Name(key.Span)] = key.ToArray();
        if (parent is { } before)
        {
            _parents[Name(key.Span)] = Name(before.Span);
        }
    }

    public void Remove(ReadOnlyMemory<byte> key) => _blocks.TryRemove(Name(key.Span), out _);

    public bool TryFind(string tenant, ReadOnlySpan<byte> key, out long bytes)
    {
        bytes = _blocks.ContainsKey(Name(key)) ? BlockBytes : 0;
        return bytes > 0;
    }

    public bool TryFetch(string tenant, ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> parent, Action<BlockArrival, long> completed)
    {
        if (Source is null)
        {
            Waiting.Enqueue((Name(key.Span), arrival => completed(arrival, arrival == BlockArrival.Came ? ArrivingBytes : 0)));
        }
        else if (_blocks.ContainsKey(Name(key.Span)))
        {
            completed(BlockArrival.WasHere, 0);
        }
        else if (Source(key))
        {
            Put(key);
            completed(BlockArrival.Came, BlockBytes);
        }
        else
        {
            completed(BlockArrival.Failed, 0);
        }

        return true;
    }

    public long ListChain(string tenant, ReadOnlySpan<byte> tail, int most, List<ReadOnlyMemory<byte>> keys)
    {
        var start = keys.Count;
        for (var name = Name(tail); keys.Count - start < most && _blocks.TryGetValue(name, out var key); name = _parents.GetValueOrDefault(name, ""))
        {
            keys.Add(key);
        }

        keys.Reverse(start, keys.Count - start);
        return (keys.Count - start) * (long)BlockBytes;
    }

    public void KeepLossless(string tenant, ReadOnlySpan<byte> tail, int most)
    {
        var keys = new List<ReadOnlyMemory<byte>>();
        ListChain(tenant, tail, most, keys);
        keys.ForEach(key => Lossless[Name(key.Span)] = true);
    }

    public BlockHold Hold(string tenant, ReadOnlySpan<byte> key, TimeSpan duration)
    {
        var name = Name(key);
        if (duration > TimeSpan.Zero)
        {
            HoldsWaitFor?.Wait();
        }

        if (duration <= TimeSpan.Zero)
        {
            Held.TryRemove(name, out _);
            return BlockHold.Held;
        }

        if (!_blocks.ContainsKey(name))
        {
            Held.TryRemove(name, out _);
            return BlockHold.Missing;
        }

        if (!Held.ContainsKey(name) && Held.Count >= MaxHeld)
        {
            return BlockHold.Full;
        }

        Held[name] = true;
        return BlockHold.Held;
    }

    public long Scan(string tenant, long cursor, List<LocalBlock> page)
    {
        page.AddRange(_blocks.Values.Select(key => new LocalBlock(key, BlockBytes, _parents.Values.Contains(Name(key)))));
        return 0;
    }

    private static string Name(ReadOnlySpan<byte> key) => Convert.ToHexString(key);
}
