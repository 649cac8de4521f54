using System.Diagnostics.CodeAnalysis;
using KvMesh.Protocol.Native;

namespace KvMesh.Protocol.Placement;

/// <summary>Asks a node how it is: i64 token of the scheduler that asks, u8 1 while orders are paused, 7 × u8 zero.</summary>
public readonly record struct NodeReportRequest(long Token, bool IsPaused)
{
    public static bool TryRead(ReadOnlySpan<byte> head, out NodeReportRequest request)
    {
        var reader = new HeadReader(head);
        request = new NodeReportRequest(reader.ReadInt64(), reader.ReadByte() == 1);
        reader.ReadBytes(7);
        return reader.IsComplete;
    }

    public void Write(FrameWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        writer.WriteInt64(Token);
        writer.WriteByte(IsPaused ? (byte)1 : (byte)0);
        writer.WriteBytes(stackalloc byte[7]);
    }
}

/// <summary>
/// What a node can take and give, and what its clients ask for: i64 highest token it met, u8 state (1 active, 2 draining, 3 leaving), u8 1 when the scheduler before had paused orders,
/// u16 zero, u32 utilisation in thousandths, i64 RAM bytes, i64 free bytes, i64 bytes per second in, i64 out, u16 wanted
/// prefixes, u16 sequences, u32 zero; then the wanted prefixes, then the sequences.
/// </summary>
public sealed record NodeReport
{
    /// <summary>The highest fencing token that the node has met.</summary>
    public long HighestToken { get; init; }

    /// <summary>1 active, 2 draining, 3 leaving.</summary>
    public byte State { get; init; } = 1;

    /// <summary>Whether the last scheduler that asked had paused orders: its follower goes on so.</summary>
    public bool WasPaused { get; init; }

    public long CapacityBytes { get; init; }

    public long FreeBytes { get; init; }

    public long InBytesPerSecond { get; init; }

    public long OutBytesPerSecond { get; init; }

    /// <summary>Share of the outward bandwidth that reads of others take now, 0 to 1.</summary>
    public double Utilisation { get; init; }

    /// <summary>The prefixes that its clients ask for most.</summary>
    public IReadOnlyList<WantedTail> Wanted { get; init; } = [];

    /// <summary>Sequences of which this node saw something that placement should look at.</summary>
    public IReadOnlyList<SessionName> Sessions { get; init; } = [];

    public static bool TryRead(ReadOnlySpan<byte> head, [NotNullWhen(true)] out NodeReport? report)
    {
        var reader = new HeadReader(head);
        var read = new NodeReport { HighestToken = reader.ReadInt64(), State = reader.ReadByte(), WasPaused = reader.ReadByte() == 1 };
        reader.ReadUInt16();
        read = read with
        {
            Utilisation = Math.Min(1, reader.ReadUInt32() / 1000.0),
            CapacityBytes = reader.ReadInt64(),
            FreeBytes = reader.ReadInt64(),
            InBytesPerSecond = reader.ReadInt64(),
            OutBytesPerSecond = reader.ReadInt64(),
        };
        var wanted = reader.ReadUInt16();
        var sessions = reader.ReadUInt16();
        reader.ReadUInt32();
        report = null;
        if (!reader.IsValid || wanted > PlacementLimits.MaxWanted || sessions > PlacementLimits.MaxSessions || read.State is 0 or > 3
            || Math.Min(Math.Min(read.CapacityBytes, read.FreeBytes), Math.Min(read.InBytesPerSecond, read.OutBytesPerSecond)) < 0)
        {
            return false;
        }

        var tails = new WantedTail[wanted];
        for (var index = 0; index < wanted; index++)
        {
            tails[index] = WantedTail.Read(ref reader);
        }

        var names = new SessionName[sessions];
        for (var index = 0; index < sessions; index++)
        {
            names[index] = new SessionName(PlacementKeys.ReadText(ref reader), PlacementKeys.ReadText(ref reader));
        }

        report = read with { Wanted = tails, Sessions = names };
        return reader.IsComplete && Array.TrueForAll(tails, tail => tail.IsValid);
    }

    public void Write(FrameWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        writer.WriteInt64(HighestToken);
        writer.WriteByte(State);
        writer.WriteByte(WasPaused ? (byte)1 : (byte)0);
        writer.WriteUInt16(0);
        writer.WriteUInt32((uint)(Utilisation * 1000));
        writer.WriteInt64(CapacityBytes);
        writer.WriteInt64(FreeBytes);
        writer.WriteInt64(InBytesPerSecond);
        writer.WriteInt64(OutBytesPerSecond);
        writer.WriteUInt16((ushort)Wanted.Count);
        writer.WriteUInt16((ushort)Sessions.Count);
        writer.WriteUInt32(0);
        foreach (var tail in Wanted)
        {
            tail.Write(writer);
        }

        foreach (var session in Sessions)
        {
            PlacementKeys.WriteText(writer, session.Tenant);
            PlacementKeys.WriteText(writer, session.Name);
        }
    }
}

/// <summary>A prefix that is asked for, by its last block: i64 payload bytes (0 unknown), u32 blocks, u32 thousandths of requests per second, u16 length and tenant, u16 length and key.</summary>
public sealed record WantedTail(string Tenant, ReadOnlyMemory<byte> Key, int Blocks, long Bytes, double RequestsPerSecond)
{
    internal bool IsValid => Blocks is >= 1 and <= Limits.MaxBlocksPerRequest && Bytes >= 0 && Key.Length is >= 1 and <= Limits.MaxKeyBytes;

    internal static WantedTail Read(ref HeadReader reader)
    {
        var bytes = reader.ReadInt64();
        var blocks = reader.ReadUInt32();
        var rate = reader.ReadUInt32() / 1000.0;
        var tenant = PlacementKeys.ReadText(ref reader);
        return new WantedTail(tenant, reader.ReadShortBytes().ToArray(), (int)Math.Min(blocks, int.MaxValue), bytes, rate);
    }

    internal void Write(FrameWriter writer)
    {
        writer.WriteInt64(Bytes);
        writer.WriteUInt32((uint)Blocks);
        writer.WriteUInt32((uint)Math.Min(RequestsPerSecond * 1000, uint.MaxValue));
        PlacementKeys.WriteText(writer, Tenant);
        writer.WriteShortBytes(Key.Span);
    }
}

/// <summary>Names a sequence: u16 length and tenant, u16 length and name.</summary>
public readonly record struct SessionName(string Tenant, string Name);
