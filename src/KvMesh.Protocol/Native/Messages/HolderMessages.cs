using System.Text;

namespace KvMesh.Protocol.Native.Messages;

/// <summary>What an entry of an answer to a wait asks of a worker. Sent on the wire: append only.</summary>
public enum HolderAskKind : byte
{
    /// <summary>Hand the block over, or decline.</summary>
    Give = 1,

    /// <summary>The block was removed: it is announced no longer and must not be announced again.</summary>
    Forget = 2,

    /// <summary>As <see cref="Forget"/> for all blocks of a model or revision; the key is a <see cref="HolderScope"/>.</summary>
    ForgetScope = 3,

    /// <summary>As <see cref="Forget"/> for everything.</summary>
    ForgetAll = 4,
}

/// <summary>
/// Tells that a worker holds blocks: u64 removals that it has been told of, u32 count, count × u32 payload bytes, keys of a chain. The answer is a
/// <see cref="HolderAnnounceResponse"/>.
/// </summary>
public readonly ref struct HolderAnnounceRequest
{
    /// <summary>What the last answer to a wait said, for blocks that were there by then; 0: they were put together just now.</summary>
    public ulong Removals { get; init; }

    /// <summary>Payload bytes of each block, 4 bytes each, little-endian.</summary>
    public ReadOnlySpan<byte> Lengths { get; init; }

    public int Count => Lengths.Length / sizeof(uint);

    /// <summary>Reads up to the keys. <see cref="HeadReader.IsValid"/> says whether all was there.</summary>
    public static HolderAnnounceRequest Read(ref HeadReader reader) =>
        new() { Removals = reader.ReadUInt64(), Lengths = reader.ReadBytes((long)reader.ReadUInt32() * sizeof(uint)) };

    /// <summary>Writes all but the keys, which follow.</summary>
    /// <param name="writer">Takes it.</param>
    /// <param name="removals"><see cref="Removals"/>.</param>
    /// <param name="lengths">Payload bytes of each block.</param>
    public static void Write(FrameWriter writer, ulong removals, ReadOnlySpan<int> lengths)
    {
        ArgumentNullException.ThrowIfNull(writer);
        writer.WriteUInt64(removals);
        writer.WriteUInt32((uint)lengths.Length);
        foreach (var length in lengths)
        {
            writer.WriteUInt32((uint)length);
        }
    }
}

/// <summary>
/// Answers an announcement: u64 number of what the connection holds, u64 removals so far, u32 blocks that it has announced, u32 how many it may.
/// </summary>
public readonly record struct HolderAnnounceResponse(ulong Holding, ulong Removals, uint Blocks, uint MaxBlocks)
{
    public static bool TryRead(ReadOnlySpan<byte> head, out HolderAnnounceResponse response)
    {
        var reader = new HeadReader(head);
        response = new HolderAnnounceResponse(reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadUInt32(), reader.ReadUInt32());
        return reader.IsComplete;
    }

    public void WriteTo(FrameWriter writer)
    {
        writer.WriteUInt64(Holding);
        writer.WriteUInt64(Removals);
        writer.WriteUInt32(Blocks);
        writer.WriteUInt32(MaxBlocks);
    }
}

/// <summary>
/// Waits for what the node asks: u64 number of what another connection of the worker holds, u32 most entries, u32 longest wait in milliseconds. One request is credit
/// for one answer.
/// </summary>
public readonly record struct HolderAsksRequest(ulong Holding, uint MaxEntries, uint WaitMilliseconds)
{
    public static bool TryRead(ReadOnlySpan<byte> head, out HolderAsksRequest request)
    {
        var reader = new HeadReader(head);
        request = new HolderAsksRequest(reader.ReadUInt64(), reader.ReadUInt32(), reader.ReadUInt32());
        return reader.IsComplete;
    }

    public void WriteTo(FrameWriter writer)
    {
        writer.WriteUInt64(Holding);
        writer.WriteUInt32(MaxEntries);
        writer.WriteUInt32(WaitMilliseconds);
    }
}

/// <summary>
/// One thing that a node asks of a worker: u64 number, u8 kind, u8 1 when no client waits for it, u16 key bytes, u32 payload bytes, u32 milliseconds left, key. An answer to
/// a wait is u64 removals so far, u32 count, u32 zero, then these.
/// </summary>
/// <param name="Number">What a hand-over or a decline names; 0 unless the block is to be given.</param>
/// <param name="Kind">What to do.</param>
/// <param name="IsBackground">Whether it may wait behind those that are not.</param>
/// <param name="PayloadBytes">Bytes of the block, as they were announced.</param>
/// <param name="MillisecondsLeft">Time after which the reader who waits has a miss.</param>
/// <param name="Key">Key of the block, or a <see cref="HolderScope"/>, or empty.</param>
public readonly record struct HolderAsk(
    ulong Number, HolderAskKind Kind, bool IsBackground, uint PayloadBytes, uint MillisecondsLeft, ReadOnlyMemory<byte> Key)
{
    /// <summary>Reads a whole answer to a wait. False when it is none.</summary>
    public static bool TryReadAll(ReadOnlySpan<byte> head, out ulong removals, out IReadOnlyList<HolderAsk> asks)
    {
        var reader = new HeadReader(head);
        removals = reader.ReadUInt64();
        var count = reader.ReadUInt32();
        reader.ReadUInt32();
        var list = new List<HolderAsk>();
        asks = list;
        if (count > HolderLimits.MaxAsksPerAnswer)
        {
            return false;
        }

        for (var index = 0; index < count && reader.IsValid; index++)
        {
            list.Add(Read(ref reader));
        }

        return reader.IsComplete && list.TrueForAll(static ask => ask.Kind is >= HolderAskKind.Give and <= HolderAskKind.ForgetAll);
    }

    public static void WriteAll(FrameWriter writer, ulong removals, IReadOnlyList<HolderAsk> asks)
    {
        ArgumentNullException.ThrowIfNull(writer);
        ArgumentNullException.ThrowIfNull(asks);
        writer.WriteUInt64(removals);
        writer.WriteUInt32((uint)asks.Count);
        writer.WriteUInt32(0);
        foreach (var ask in asks)
        {
            writer.WriteUInt64(ask.Number);
            writer.WriteByte((byte)ask.Kind);
            writer.WriteByte(ask.IsBackground ? (byte)1 : (byte)0);
            writer.WriteUInt16(checked((ushort)ask.Key.Length));
            writer.WriteUInt32(ask.PayloadBytes);
            writer.WriteUInt32(ask.MillisecondsLeft);
            writer.WriteBytes(ask.Key.Span);
        }
    }

    private static HolderAsk Read(ref HeadReader reader)
    {
        var number = reader.ReadUInt64();
        var kind = (HolderAskKind)reader.ReadByte();
        var isBackground = reader.ReadByte() == 1;
        var keyBytes = reader.ReadUInt16();
        var payloadBytes = reader.ReadUInt32();
        var left = reader.ReadUInt32();
        return new HolderAsk(number, kind, isBackground, payloadBytes, left, reader.ReadBytes(keyBytes).ToArray());
    }
}

/// <summary>The blocks of a model or revision, where a key is expected: u8 flags (1 the model is named, 2 the revision is), u8 length, model, u8 length, revision.</summary>
/// <param name="Model">Null: of all models.</param>
/// <param name="Revision">Null: of all revisions.</param>
public readonly record struct HolderScope(string? Model, string? Revision)
{
    public static bool TryRead(ReadOnlySpan<byte> source, out HolderScope scope)
    {
        var reader = new HeadReader(source);
        var flags = reader.ReadByte();
        var model = reader.ReadBytes(reader.ReadByte());
        var revision = reader.ReadBytes(reader.ReadByte());
        scope = new HolderScope((flags & 1) != 0 ? Encoding.UTF8.GetString(model) : null, (flags & 2) != 0 ? Encoding.UTF8.GetString(revision) : null);
        return reader.IsComplete && flags <= 3;
    }

    /// <summary>Names that no key can have are of no block: they name everything then, which is never too little.</summary>
    public byte[] ToBytes()
    {
        var model = Encoding.UTF8.GetBytes(Model ?? "");
        var revision = Encoding.UTF8.GetBytes(Revision ?? "");
        return model.Length > byte.MaxValue || revision.Length > byte.MaxValue
            ? [0, 0, 0]
            : [(byte)((Model is null ? 0 : 1) | (Revision is null ? 0 : 2)), (byte)model.Length, .. model, (byte)revision.Length, .. revision];
    }

    /// <summary>Whether a block of that model and revision is meant.</summary>
    public bool Names(string model, string revision) => (Model is null || Model == model) && (Revision is null || Revision == revision);
}
