using KvMesh.Protocol;

namespace KvMesh.Cli.Workload;

/// <summary>What became of one block of a batch.</summary>
internal enum BlockOutcome
{
    /// <summary>Read, and checked byte by byte; or written.</summary>
    Done,

    /// <summary>Not there; or there already, so that its bytes were not kept.</summary>
    Skipped,

    /// <summary>The node had no room.</summary>
    Refused,

    /// <summary>The node did not answer, or answered with an error.</summary>
    Failed,
}

/// <summary>
/// Consecutive blocks of one chain on their way through a door, with the memory for their payloads. Owned by one client of a
/// workload and used again for each step; nothing is allocated in between.
/// </summary>
internal sealed class BlockBatch
{
    private const int PoisonStrideBytes = 4096;

    private readonly byte[] _buffer;
    private readonly BlockOutcome[] _outcomes;
    private readonly PayloadCheck[] _checks;
    private readonly WorkloadKeys _keys;
    private ReadOnlyMemory<byte> _chain;

    public BlockBatch(WorkloadKeys keys, int capacity)
    {
        _keys = keys;
        _buffer = GC.AllocateUninitializedArray<byte>(checked(capacity * keys.BlockBytes), pinned: true);
        _outcomes = new BlockOutcome[capacity];
        _checks = new PayloadCheck[capacity];
        Payloads = [.. Enumerable.Range(0, capacity).Select(index => (ReadOnlyMemory<byte>)_buffer.AsMemory(index * keys.BlockBytes, keys.BlockBytes))];
    }

    public int Capacity => _outcomes.Length;

    public int BlockBytes => _keys.BlockBytes;

    /// <summary>Index in the chain of the first block of the batch.</summary>
    public int First { get; private set; }

    public int Count { get; private set; }

    /// <summary>Chain hashes of the batch, 32 bytes each.</summary>
    public ReadOnlyMemory<byte> Hashes => _chain.Slice(First * Limits.ChainHashBytes, Count * Limits.ChainHashBytes);

    /// <summary>Hash of the block before the batch; empty when the batch begins its chain.</summary>
    public ReadOnlyMemory<byte> ParentHash => First == 0 ? default : _chain.Slice((First - 1) * Limits.ChainHashBytes, Limits.ChainHashBytes);

    /// <summary>Memory of the payloads, one after the other.</summary>
    public Memory<byte> Buffer => _buffer.AsMemory(0, Count * BlockBytes);

    /// <summary>The same memory, one entry for each block that fits.</summary>
    public IReadOnlyList<ReadOnlyMemory<byte>> Payloads { get; }

    public Span<BlockOutcome> Outcomes => _outcomes.AsSpan(0, Count);

    public ReadOnlyMemory<byte> HashOf(int index) => _chain.Slice((First + index) * Limits.ChainHashBytes, Limits.ChainHashBytes);

    public Memory<byte> SlotOf(int index) => _buffer.AsMemory(index * BlockBytes, BlockBytes);

    public PayloadCheck CheckOf(int index) => _checks[index];

    public void Select(ReadOnlyMemory<byte> chain, int first, int count)
    {
        (_chain, First, Count) = (chain, first, count);
        Outcomes.Fill(BlockOutcome.Failed);
    }

    /// <summary>Fills the payloads for a write.</summary>
    public void Fill()
    {
        for (var i = 0; i < Count; i++)
        {
            BlockPayload.Fill(SlotOf(i).Span, PayloadIdentity.Of(_keys.Seed, HashOf(i).Span));
        }
    }

    /// <summary>Spoils the memory before a read, so that bytes of an earlier step can never pass for bytes that arrived.</summary>
    public void Poison()
    {
        for (var offset = 0; offset < Buffer.Length; offset += PoisonStrideBytes)
        {
            _buffer[offset] ^= 0xA5;
        }

        for (var end = BlockBytes; end <= Buffer.Length; end += BlockBytes)
        {
            _buffer[end - 1] ^= 0x5A;
        }
    }

    /// <summary>Records that a read delivered <paramref name="payload"/> for a block, wherever these bytes are, and checks all of them.</summary>
    public void Accept(int index, ReadOnlySpan<byte> payload)
    {
        var expected = PayloadIdentity.Of(_keys.Seed, HashOf(index).Span);
        _outcomes[index] = BlockOutcome.Done;
        _checks[index] = payload.Length == BlockBytes
            ? BlockPayload.Check(payload, expected)
            : new PayloadCheck(Math.Max(payload.Length, BlockBytes), 0, payload.IsEmpty ? default : BlockPayload.Identify(payload));
    }
}
