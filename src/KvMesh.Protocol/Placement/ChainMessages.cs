using System.Diagnostics.CodeAnalysis;
using KvMesh.Protocol.Native;

namespace KvMesh.Protocol.Placement;

/// <summary>
/// Asks for the keys of a chain by its last block: u32 most blocks (1 to 1,024), u32 flags (1: <see cref="KeepsLossless"/>), u16 length and tenant, u16 length
/// and key.
/// </summary>
public sealed record ChainRequest(string Tenant, ReadOnlyMemory<byte> Tail, int MostBlocks)
{
    private const uint KeepsLosslessFlag = 1;

    /// <summary>
    /// From now on no copy of these blocks may lose anything there: a sequence that is lossless only refers to them. The answer is empty. A node from before
    /// this only tells the keys.
    /// </summary>
    public bool KeepsLossless { get; init; }

    public static bool TryRead(ReadOnlySpan<byte> head, [NotNullWhen(true)] out ChainRequest? request)
    {
        var reader = new HeadReader(head);
        var most = reader.ReadUInt32();
        var flags = reader.ReadUInt32();
        var tenant = PlacementKeys.ReadText(ref reader);
        var key = reader.ReadShortBytes();
        var isValid = reader.IsComplete && most is >= 1 and <= PlacementLimits.MaxRunBlocks && key.Length is >= 1 and <= Limits.MaxKeyBytes;
        request = isValid ? new ChainRequest(tenant, key.ToArray(), (int)most) { KeepsLossless = (flags & KeepsLosslessFlag) != 0 } : null;
        return isValid;
    }

    public void Write(FrameWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        writer.WriteUInt32((uint)MostBlocks);
        writer.WriteUInt32(KeepsLossless ? KeepsLosslessFlag : 0);
        PlacementKeys.WriteText(writer, Tenant);
        writer.WriteShortBytes(Tail.Span);
    }
}

/// <summary>
/// The last blocks of a chain, in order, as far back as the node knows who follows whom: i64 payload bytes, u32 count, u32 zero, then the keys; nothing
/// behind a count of 0.
/// </summary>
public sealed record ChainAnswer(IReadOnlyList<ReadOnlyMemory<byte>> Keys, long Bytes)
{
    public static ChainAnswer Empty { get; } = new([], 0);

    public static bool TryRead(ReadOnlySpan<byte> head, [NotNullWhen(true)] out ChainAnswer? answer)
    {
        var reader = new HeadReader(head);
        var bytes = reader.ReadInt64();
        var count = reader.ReadUInt32();
        reader.ReadUInt32();
        answer = count == 0 && reader.IsComplete ? Empty
            : PlacementKeys.TryRead(ref reader, out var keys) && keys.Length == count && bytes >= 0 ? new ChainAnswer(keys, bytes)
            : null;
        return answer is not null;
    }

    public void Write(FrameWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        writer.WriteInt64(Bytes);
        writer.WriteUInt32((uint)Keys.Count);
        writer.WriteUInt32(0);
        if (Keys.Count > 0)
        {
            PlacementKeys.Write(writer, Keys);
        }
    }
}

/// <summary>
/// Asks a node to read blocks back, compare them with their checksums, and keep them: i64 token, u32 for how long in milliseconds (0: keep them no
/// longer), u32 flags (1: <see cref="EndsEarlier"/>), u16 length and tenant, keys.
/// </summary>
public sealed record HoldRequest(long Token, TimeSpan Duration, string Tenant, IReadOnlyList<ReadOnlyMemory<byte>> Keys)
{
    private const uint EndsEarlierFlag = 1;

    /// <summary>
    /// Also lets all blocks of the tenant go that only schedulers before this one asked to keep: this one has asked for all that it wants. A node of a release
    /// that does not know it keeps them for their time.
    /// </summary>
    public bool EndsEarlier { get; init; }

    public static bool TryRead(ReadOnlySpan<byte> head, [NotNullWhen(true)] out HoldRequest? request)
    {
        var reader = new HeadReader(head);
        var token = reader.ReadInt64();
        var milliseconds = reader.ReadUInt32();
        var flags = reader.ReadUInt32();
        var tenant = PlacementKeys.ReadText(ref reader);
        request = reader.IsValid && PlacementKeys.TryRead(ref reader, out var keys)
            ? new HoldRequest(token, TimeSpan.FromMilliseconds(milliseconds), tenant, keys) { EndsEarlier = (flags & EndsEarlierFlag) != 0 }
            : null;
        return request is not null;
    }

    public void Write(FrameWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        writer.WriteInt64(Token);
        writer.WriteUInt32((uint)Math.Min(Duration.TotalMilliseconds, uint.MaxValue));
        writer.WriteUInt32(EndsEarlier ? EndsEarlierFlag : 0);
        PlacementKeys.WriteText(writer, Tenant);
        PlacementKeys.Write(writer, Keys);
    }
}

/// <summary>Answers a hold: u8 verdict, 3 × u8 zero, u32 blocks from the first on that were verified and are kept, i64 highest token that the node met.</summary>
public readonly record struct HoldAnswer(OrderVerdict Verdict, int Held, long HighestToken)
{
    public static bool TryRead(ReadOnlySpan<byte> head, out HoldAnswer answer)
    {
        var reader = new HeadReader(head);
        var verdict = (OrderVerdict)reader.ReadByte();
        reader.ReadBytes(3);
        answer = new HoldAnswer(verdict, (int)Math.Min(reader.ReadUInt32(), int.MaxValue), reader.ReadInt64());
        return reader.IsComplete;
    }

    public void Write(FrameWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        writer.WriteByte((byte)Verdict);
        writer.WriteBytes(stackalloc byte[3]);
        writer.WriteUInt32((uint)Held);
        writer.WriteInt64(HighestToken);
    }
}
