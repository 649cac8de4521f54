using System.Diagnostics.CodeAnalysis;
using KvMesh.Protocol.Native;

namespace KvMesh.Protocol.Placement;

/// <summary>
/// An order to a node: bring these blocks here. i64 token of the scheduler, i64 id of the order, u8 kind, 7 × u8 zero, u16 length and
/// tenant, keys in the order in which they are to come. The same token and id again is the same order again.
/// </summary>
public sealed record OrderGiveRequest(long Token, long Id, byte Kind, string Tenant, IReadOnlyList<ReadOnlyMemory<byte>> Keys)
{
    public static bool TryRead(ReadOnlySpan<byte> head, [NotNullWhen(true)] out OrderGiveRequest? request)
    {
        var reader = new HeadReader(head);
        var token = reader.ReadInt64();
        var id = reader.ReadInt64();
        var kind = reader.ReadByte();
        reader.ReadBytes(7);
        var tenant = PlacementKeys.ReadText(ref reader);
        request = reader.IsValid && PlacementKeys.TryRead(ref reader, out var keys) ? new OrderGiveRequest(token, id, kind, tenant, keys) : null;
        return request is not null;
    }

    public void Write(FrameWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        writer.WriteInt64(Token);
        writer.WriteInt64(Id);
        writer.WriteByte(Kind);
        writer.WriteBytes(stackalloc byte[7]);
        PlacementKeys.WriteText(writer, Tenant);
        PlacementKeys.Write(writer, Keys);
    }
}

/// <summary>Takes an order back: i64 token, i64 id.</summary>
public readonly record struct OrderCancelRequest(long Token, long Id)
{
    public static bool TryRead(ReadOnlySpan<byte> head, out OrderCancelRequest request)
    {
        var reader = new HeadReader(head);
        request = new OrderCancelRequest(reader.ReadInt64(), reader.ReadInt64());
        return reader.IsComplete;
    }

    public void Write(FrameWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        writer.WriteInt64(Token);
        writer.WriteInt64(Id);
    }
}

/// <summary>What a node did with an order. Sent on the wire: append only.</summary>
public enum OrderVerdict : byte
{
    /// <summary>It has the order, from now on or from before.</summary>
    Taken = 1,

    /// <summary>Another scheduler is in office: the order is not followed.</summary>
    StaleToken = 2,

    /// <summary>It has too many orders, or too much of its RAM is held for pins.</summary>
    Full = 3,

    /// <summary>It knows no such order, or no such tenant.</summary>
    Unknown = 4,
}

/// <summary>Answers an order or its end: u8 verdict, 7 × u8 zero, i64 highest token that the node met.</summary>
public readonly record struct OrderAnswer(OrderVerdict Verdict, long HighestToken)
{
    public static bool TryRead(ReadOnlySpan<byte> head, out OrderAnswer answer)
    {
        var reader = new HeadReader(head);
        var verdict = (OrderVerdict)reader.ReadByte();
        reader.ReadBytes(7);
        answer = new OrderAnswer(verdict, reader.ReadInt64());
        return reader.IsComplete;
    }

    public void Write(FrameWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        writer.WriteByte((byte)Verdict);
        writer.WriteBytes(stackalloc byte[7]);
        writer.WriteInt64(HighestToken);
    }
}

/// <summary>Asks how far orders are: i64 token, u32 count (at most 1,024), u32 zero, count × i64 id.</summary>
public sealed record OrderProgressRequest(long Token, IReadOnlyList<long> Ids)
{
    public static bool TryRead(ReadOnlySpan<byte> head, [NotNullWhen(true)] out OrderProgressRequest? request)
    {
        request = null;
        var reader = new HeadReader(head);
        var token = reader.ReadInt64();
        var count = reader.ReadUInt32();
        reader.ReadUInt32();
        if (!reader.IsValid || count > PlacementLimits.MaxProgress)
        {
            return false;
        }

        var ids = new long[count];
        for (var index = 0; index < ids.Length; index++)
        {
            ids[index] = reader.ReadInt64();
        }

        request = reader.IsComplete ? new OrderProgressRequest(token, ids) : null;
        return request is not null;
    }

    public void Write(FrameWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        writer.WriteInt64(Token);
        writer.WriteUInt32((uint)Ids.Count);
        writer.WriteUInt32(0);
        foreach (var id in Ids)
        {
            writer.WriteInt64(id);
        }
    }
}

/// <summary>
/// One order in an answer about progress: i64 id, u8 state (0 unknown, 1 waiting, 2 running, 3 done, 4 failed, 5 cancelled), 3 × u8 zero, u32
/// blocks that are here now, i64 bytes that were moved, u16 length and text. The answer begins with u32 count, u32 zero.
/// </summary>
public sealed record OrderProgress(long Id, byte State, int Blocks, long MovedBytes, string Message)
{
    public static bool TryReadAll(ReadOnlySpan<byte> head, [NotNullWhen(true)] out OrderProgress[]? orders)
    {
        orders = null;
        var reader = new HeadReader(head);
        var count = reader.ReadUInt32();
        reader.ReadUInt32();
        if (!reader.IsValid || count > PlacementLimits.MaxProgress)
        {
            return false;
        }

        var read = new OrderProgress[count];
        for (var index = 0; index < read.Length; index++)
        {
            var id = reader.ReadInt64();
            var state = reader.ReadByte();
            reader.ReadBytes(3);
            var blocks = (int)Math.Min(reader.ReadUInt32(), int.MaxValue);
            read[index] = new OrderProgress(id, state, blocks, reader.ReadInt64(), PlacementKeys.ReadText(ref reader));
        }

        orders = reader.IsComplete ? read : null;
        return orders is not null;
    }

    public static void WriteAll(FrameWriter writer, IReadOnlyList<OrderProgress> orders)
    {
        ArgumentNullException.ThrowIfNull(writer);
        ArgumentNullException.ThrowIfNull(orders);
        writer.WriteUInt32((uint)orders.Count);
        writer.WriteUInt32(0);
        foreach (var order in orders)
        {
            writer.WriteInt64(order.Id);
            writer.WriteByte(order.State);
            writer.WriteByte(0);
            writer.WriteUInt16(0);
            writer.WriteUInt32((uint)order.Blocks);
            writer.WriteInt64(order.MovedBytes);
            PlacementKeys.WriteText(writer, order.Message);
        }
    }
}
