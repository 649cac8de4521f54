using System.Diagnostics.CodeAnalysis;
using KvMesh.Protocol.Native;

namespace KvMesh.Protocol.Placement;

/// <summary>What is asked of a node that drains. Sent on the wire: append only.</summary>
public enum DrainAction : byte
{
    Ask = 0,
    Begin = 1,
    End = 2,
}

/// <summary>Begins a drain, takes it back or asks about it: i64 token (only looked at for begin and end), u8 action, 7 × u8 zero.</summary>
public readonly record struct DrainRequest(long Token, DrainAction Action)
{
    public static bool TryRead(ReadOnlySpan<byte> head, out DrainRequest request)
    {
        var reader = new HeadReader(head);
        request = new DrainRequest(reader.ReadInt64(), (DrainAction)reader.ReadByte());
        reader.ReadBytes(7);
        return reader.IsComplete && request.Action <= DrainAction.End;
    }

    public void Write(FrameWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        writer.WriteInt64(Token);
        writer.WriteByte((byte)Action);
        writer.WriteBytes(stackalloc byte[7]);
    }
}

/// <summary>
/// How far a node is: u8 state (1 active, 2 draining, 3 drained), u8 1 when the token was an old one and nothing changed, u16 zero, u32 runs that wait
/// to be moved, i64 since when (Unix ms; 0 not), i64 blocks that others should have, i64 of them left, i64 bytes left, u16 length and text.
/// </summary>
public sealed record DrainAnswer
{
    public const byte Active = 1;
    public const byte Draining = 2;
    public const byte Drained = 3;

    public byte State { get; init; } = Active;

    public bool IsStale { get; init; }

    /// <summary>Runs of blocks that nobody else holds, to be asked for one by one.</summary>
    public int Runs { get; init; }

    public long Since { get; init; }

    public long Blocks { get; init; }

    public long BlocksLeft { get; init; }

    public long BytesLeft { get; init; }

    public string Message { get; init; } = "";

    public static bool TryRead(ReadOnlySpan<byte> head, [NotNullWhen(true)] out DrainAnswer? answer)
    {
        var reader = new HeadReader(head);
        var state = reader.ReadByte();
        var isStale = reader.ReadByte() == 1;
        reader.ReadUInt16();
        var runs = reader.ReadUInt32();
        var read = new DrainAnswer
        {
            State = state,
            IsStale = isStale,
            Runs = (int)Math.Min(runs, int.MaxValue),
            Since = reader.ReadInt64(),
            Blocks = reader.ReadInt64(),
            BlocksLeft = reader.ReadInt64(),
            BytesLeft = reader.ReadInt64(),
            Message = PlacementKeys.ReadText(ref reader),
        };
        answer = reader.IsComplete && state is >= Active and <= Drained ? read : null;
        return answer is not null;
    }

    public void Write(FrameWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        writer.WriteByte(State);
        writer.WriteByte(IsStale ? (byte)1 : (byte)0);
        writer.WriteUInt16(0);
        writer.WriteUInt32((uint)Runs);
        writer.WriteInt64(Since);
        writer.WriteInt64(Blocks);
        writer.WriteInt64(BlocksLeft);
        writer.WriteInt64(BytesLeft);
        PlacementKeys.WriteText(writer, Message);
    }
}

/// <summary>Asks a draining node for one of the runs that nobody else holds: u32 index, u32 zero.</summary>
public readonly record struct LeavingRequest(int Index)
{
    public static bool TryRead(ReadOnlySpan<byte> head, out LeavingRequest request)
    {
        var reader = new HeadReader(head);
        request = new LeavingRequest((int)Math.Min(reader.ReadUInt32(), int.MaxValue));
        reader.ReadUInt32();
        return reader.IsComplete;
    }

    public void Write(FrameWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        writer.WriteUInt32((uint)Index);
        writer.WriteUInt32(0);
    }
}

/// <summary>One run: i64 payload bytes, u32 blocks, u32 zero; behind a count above 0 u16 length and tenant, keys.</summary>
public sealed record LeavingRun(string Tenant, long Bytes, IReadOnlyList<ReadOnlyMemory<byte>> Keys)
{
    public static LeavingRun None { get; } = new("", 0, []);

    public static bool TryRead(ReadOnlySpan<byte> head, [NotNullWhen(true)] out LeavingRun? run)
    {
        var reader = new HeadReader(head);
        var bytes = reader.ReadInt64();
        var count = reader.ReadUInt32();
        reader.ReadUInt32();
        run = null;
        if (count == 0)
        {
            run = reader.IsComplete ? None : null;
        }
        else
        {
            var tenant = PlacementKeys.ReadText(ref reader);
            run = reader.IsValid && bytes >= 0 && PlacementKeys.TryRead(ref reader, out var keys) && keys.Length == count ? new LeavingRun(tenant, bytes, keys) : null;
        }

        return run is not null;
    }

    public void Write(FrameWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        writer.WriteInt64(Bytes);
        writer.WriteUInt32((uint)Keys.Count);
        writer.WriteUInt32(0);
        if (Keys.Count > 0)
        {
            PlacementKeys.WriteText(writer, Tenant);
            PlacementKeys.Write(writer, Keys);
        }
    }
}
