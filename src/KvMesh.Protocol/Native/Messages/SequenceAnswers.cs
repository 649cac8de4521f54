using KvMesh.Protocol.Sequences;

namespace KvMesh.Protocol.Native.Messages;

/// <summary>
/// Answers about sequences. The form of a sequence is i64 version, i64 epoch, u8 state, u8 pin state, u8 replicas, u8 verified copies, u32 number of the pin,
/// i64 pinned blocks, i64 pinned until, i64 blocks, i64 tokens, i64 bytes, u32 segments, u32 parts, hash of the last block, i64 created, touched,
/// end, idle milliseconds, return, u32 forks, u32 shared segments, i64 shared blocks, then name, scope, holder and origin behind u16 lengths.
/// </summary>
public static class SequenceAnswers
{
    private const uint RepetitionFlag = 1;
    private const uint LosslessFlag = 2;

    /// <summary>What an answer about one sequence begins with: u32 flags (1: the command had been done before; 2: lossless only), then its form.</summary>
    public static void WriteOne(FrameWriter writer, SequenceInfo info, bool isRepetition)
    {
        writer.WriteUInt32((isRepetition ? RepetitionFlag : 0) | (info.LosslessOnly ? LosslessFlag : 0));
        WriteInfo(writer, info);
    }

    /// <inheritdoc cref="WriteOne"/>
    public static SequenceInfo ReadOne(ref HeadReader reader, out bool isRepetition)
    {
        var flags = reader.ReadUInt32();
        isRepetition = (flags & RepetitionFlag) != 0;
        return ReadInfo(ref reader) with { LosslessOnly = (flags & LosslessFlag) != 0 };
    }

    public static void WriteInfo(FrameWriter writer, SequenceInfo info)
    {
        writer.WriteInt64(info.Version);
        writer.WriteInt64(info.Epoch);
        writer.WriteByte((byte)info.State);
        writer.WriteByte((byte)info.Pin.State);
        writer.WriteByte(info.Pin.Replicas);
        writer.WriteByte(info.Pin.Copies);
        writer.WriteUInt32(info.Pin.Number);
        writer.WriteInt64(info.Pin.Blocks);
        writer.WriteInt64(info.Pin.Until);
        writer.WriteInt64(info.Blocks);
        writer.WriteInt64(info.Tokens);
        writer.WriteInt64(info.Bytes);
        writer.WriteUInt32((uint)info.Segments);
        writer.WriteUInt32((uint)info.Parts);
        SequenceRequests.WriteHash(writer, info.LastHash);
        writer.WriteInt64(info.CreatedAt);
        writer.WriteInt64(info.TouchedAt);
        writer.WriteInt64(info.ExpiresAt);
        writer.WriteInt64(info.IdleMilliseconds);
        writer.WriteInt64(info.ReturnAt);
        writer.WriteUInt32((uint)info.Forks);
        writer.WriteUInt32((uint)info.Origin.Segments);
        writer.WriteInt64(info.Origin.Blocks);
        SequenceRequests.WriteText(writer, info.Name);
        writer.WriteShortBytes(info.Scope.Span);
        SequenceRequests.WriteText(writer, info.Holder);
        SequenceRequests.WriteText(writer, info.Origin.Name);
    }

    public static SequenceInfo ReadInfo(ref HeadReader reader)
    {
        var info = new SequenceInfo { Name = "", Version = reader.ReadInt64(), Epoch = reader.ReadInt64(), State = (SequenceState)reader.ReadByte() };
        var pin = new PinStatus { State = (PinState)reader.ReadByte(), Replicas = reader.ReadByte(), Copies = reader.ReadByte(), Number = reader.ReadUInt32() };
        info = info with
        {
            Pin = pin with { Blocks = reader.ReadInt64(), Until = reader.ReadInt64() },
            Blocks = reader.ReadInt64(),
            Tokens = reader.ReadInt64(),
            Bytes = reader.ReadInt64(),
            Segments = (int)reader.ReadUInt32(),
            Parts = (int)reader.ReadUInt32(),
            LastHash = SequenceRequests.ReadHash(ref reader),
            CreatedAt = reader.ReadInt64(),
            TouchedAt = reader.ReadInt64(),
            ExpiresAt = reader.ReadInt64(),
            IdleMilliseconds = reader.ReadInt64(),
            ReturnAt = reader.ReadInt64(),
            Forks = (int)reader.ReadUInt32(),
        };
        var (segments, blocks) = ((int)reader.ReadUInt32(), reader.ReadInt64());
        return info with
        {
            Name = SequenceRequests.ReadText(ref reader),
            Scope = reader.ReadShortBytes().ToArray(),
            Holder = SequenceRequests.ReadText(ref reader),
            Origin = SequenceOrigin.None with { Segments = segments, Blocks = blocks, Name = SequenceRequests.ReadText(ref reader) },
        };
    }

    /// <summary>Rows: u32 of the sequence, u32 index of the first, u32 in this page, 112 bytes each.</summary>
    public static void WriteRows(FrameWriter writer, int total, int first, ReadOnlySpan<SegmentRow> rows)
    {
        writer.WriteUInt32((uint)total);
        writer.WriteUInt32((uint)first);
        writer.WriteUInt32((uint)rows.Length);
        writer.WriteBytes(SegmentRow.WriteAll(rows));
    }

    /// <summary>False: the bytes are not what they say, or a row is damaged.</summary>
    public static bool TryReadRows(ref HeadReader reader, out int total, out int first, out SegmentRow[] rows)
    {
        total = (int)reader.ReadUInt32();
        first = (int)reader.ReadUInt32();
        var count = reader.ReadUInt32();
        rows = [];
        return reader.IsValid && count <= SequenceLimits.MaxPageRows
            && SegmentRow.TryReadAll(reader.ReadBytes((long)count * SegmentRow.EncodedBytes), out rows) && rows.Length == count;
    }

    /// <summary>A page of a listing: u16 length and name to list behind next (empty: that was all), u32 count, then each sequence behind u16 length, behind its form u32 flags where there are any (1: lossless only).</summary>
    public static void WriteList(FrameWriter writer, IReadOnlyList<SequenceInfo> sequences, string next)
    {
        SequenceRequests.WriteText(writer, next);
        writer.WriteUInt32((uint)sequences.Count);
        var part = new FrameWriter();
        foreach (var info in sequences)
        {
            WriteInfo(part, info);
            SequenceRequests.WriteFlags(part, info.LosslessOnly);
            writer.WriteShortBytes(part.Pending);
            part.Reset();
        }
    }

    /// <summary>False: the bytes are not what they say.</summary>
    public static bool TryReadList(ref HeadReader reader, out List<SequenceInfo> sequences, out string next)
    {
        next = SequenceRequests.ReadText(ref reader);
        var count = reader.ReadUInt32();
        sequences = [];
        while (reader.IsValid && sequences.Count < count)
        {
            var part = new HeadReader(reader.ReadShortBytes());
            var info = ReadInfo(ref part);
            sequences.Add(info with { LosslessOnly = SequenceRequests.ReadFlags(ref part) });
            if (!part.IsValid)
            {
                return false;
            }
        }

        return reader.IsValid;
    }

    /// <summary>A refusal: u8 reason, 3 × u8 zero, u16 length and text.</summary>
    public static void WriteRefusal(FrameWriter writer, SequenceRefusal refusal, string text)
    {
        writer.WriteByte((byte)refusal);
        writer.WriteBytes([0, 0, 0]);
        SequenceRequests.WriteText(writer, text.Length > NativeLimits.MaxTextBytes ? text[..NativeLimits.MaxTextBytes] : text);
    }

    public static (SequenceRefusal Refusal, string Text) ReadRefusal(ref HeadReader reader)
    {
        var refusal = (SequenceRefusal)reader.ReadByte();
        reader.ReadBytes(3);
        return (refusal, SequenceRequests.ReadText(ref reader));
    }
}
