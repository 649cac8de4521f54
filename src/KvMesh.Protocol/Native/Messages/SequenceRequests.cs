using System.Diagnostics.CodeAnalysis;
using System.Text;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Protocol.Native.Messages;

/// <summary>
/// Requests about sequences. Every head begins with u16 length and name, u64 request id, i64 epoch; then what the verb needs (docs/PROTOCOL.md,
/// 4.5). Readers ignore what later versions append.
/// </summary>
public static class SequenceRequests
{
    private const uint LosslessFlag = 1;

    /// <summary>Whether a verb is one of those that are answered by the control plane.</summary>
    public static bool IsSequence(this Verb verb) => verb is >= Verb.SequenceOpen and <= Verb.SequenceList;

    public static Verb VerbOf(SequenceCommand command) => command switch
    {
        OpenSequence => Verb.SequenceOpen,
        AppendSegment => Verb.SequenceAppend,
        ForkSequence => Verb.SequenceFork,
        PinSequence => Verb.SequencePin,
        ParkSequence => Verb.SequencePark,
        ResumeSequence => Verb.SequenceResume,
        CloseSequence => Verb.SequenceClose,
        _ => throw new ArgumentException($"{command?.GetType().Name} has no verb.", nameof(command)),
    };

    /// <summary>Begins a head; a verb without a command has nothing behind it but its own fields.</summary>
    public static void WritePrefix(FrameWriter writer, string name, ulong requestId = 0, long epoch = 0)
    {
        WriteText(writer, name);
        writer.WriteUInt64(requestId);
        writer.WriteInt64(epoch);
    }

    public static void Write(FrameWriter writer, string name, SequenceCommand command)
    {
        WritePrefix(writer, name, command.RequestId, command.Epoch);
        switch (command)
        {
            case OpenSequence open:
                writer.WriteShortBytes(open.Scope.Span);
                writer.WriteUInt32((uint)open.Parts);
                WriteText(writer, open.Holder);
                writer.WriteInt64((long)open.IdleLimit.TotalMilliseconds);
                writer.WriteInt64((long)open.Lifetime.TotalMilliseconds);
                WriteFlags(writer, open.LosslessOnly);
                break;
            case AppendSegment append:
                WriteHash(writer, append.ParentHash);
                writer.WriteUInt32(append.Blocks);
                writer.WriteUInt32(append.Tokens);
                writer.WriteUInt64(append.Bytes);
                WriteHash(writer, append.FirstHash);
                WriteHash(writer, append.LastHash);
                break;
            case ForkSequence fork:
                WriteText(writer, fork.Target);
                writer.WriteInt64(fork.Blocks);
                WriteHash(writer, fork.LastHash);
                WriteText(writer, fork.Holder);
                WriteFlags(writer, fork.LosslessOnly);
                break;
            case PinSequence pin:
                writer.WriteUInt32((uint)pin.Replicas);
                writer.WriteInt64(pin.Until);
                break;
            case ParkSequence park:
                WriteText(writer, park.NextHolder);
                writer.WriteInt64(park.ReturnAt);
                break;
            case ResumeSequence resume:
                WriteText(writer, resume.Holder);
                break;
        }
    }

    /// <summary>Reads what every head begins with.</summary>
    public static bool TryReadPrefix(ref HeadReader reader, out string name, out ulong requestId, out long epoch)
    {
        name = ReadText(ref reader);
        requestId = reader.ReadUInt64();
        epoch = reader.ReadInt64();
        return reader.IsValid;
    }

    /// <summary>Reads a command. False: the head ends before its fields do.</summary>
    public static bool TryRead(Verb verb, ReadOnlySpan<byte> head, out string name, [NotNullWhen(true)] out SequenceCommand? command)
    {
        var reader = new HeadReader(head);
        command = null;
        if (!TryReadPrefix(ref reader, out name, out var requestId, out var epoch))
        {
            return false;
        }

        SequenceCommand? read = verb switch
        {
            Verb.SequenceOpen => ReadOpen(ref reader),
            Verb.SequenceAppend => ReadAppend(ref reader),
            Verb.SequenceFork => ReadFork(ref reader),
            Verb.SequencePin => new PinSequence { Replicas = (int)Math.Min(reader.ReadUInt32(), int.MaxValue), Until = reader.ReadInt64() },
            Verb.SequencePark => new ParkSequence { NextHolder = ReadText(ref reader), ReturnAt = reader.ReadInt64() },
            Verb.SequenceResume => new ResumeSequence { Holder = ReadText(ref reader) },
            Verb.SequenceClose => new CloseSequence(),
            _ => null,
        };
        command = read is null || !reader.IsValid ? null : read with { RequestId = requestId, Epoch = epoch };
        return command is not null;
    }

    internal static void WriteText(FrameWriter writer, string text) => writer.WriteShortBytes(Encoding.UTF8.GetBytes(text));

    internal static void WriteHash(FrameWriter writer, BlockHash hash) => writer.WriteBytes(hash);

    internal static string ReadText(ref HeadReader reader) => Encoding.UTF8.GetString(reader.ReadShortBytes());

    internal static BlockHash ReadHash(ref HeadReader reader)
    {
        var bytes = reader.ReadBytes(Limits.ChainHashBytes);
        return bytes.IsEmpty ? BlockHash.Root : new BlockHash(bytes);
    }

    /// <summary>u32 flags behind everything else, where there is one: what says nothing new is written as it always was.</summary>
    internal static void WriteFlags(FrameWriter writer, bool losslessOnly)
    {
        if (losslessOnly)
        {
            writer.WriteUInt32(LosslessFlag);
        }
    }

    internal static bool ReadFlags(ref HeadReader reader) => !reader.IsComplete && (reader.ReadUInt32() & LosslessFlag) != 0;

    private static OpenSequence ReadOpen(ref HeadReader reader) => new()
    {
        Scope = reader.ReadShortBytes().ToArray(),
        Parts = (int)Math.Min(reader.ReadUInt32(), int.MaxValue),
        Holder = ReadText(ref reader),
        IdleLimit = ReadTime(ref reader),
        Lifetime = ReadTime(ref reader),
        LosslessOnly = ReadFlags(ref reader),
    };

    private static ForkSequence ReadFork(ref HeadReader reader) => new()
    {
        Target = ReadText(ref reader),
        Blocks = reader.ReadInt64(),
        LastHash = ReadHash(ref reader),
        Holder = ReadText(ref reader),
        LosslessOnly = ReadFlags(ref reader),
    };

    private static AppendSegment ReadAppend(ref HeadReader reader) => new()
    {
        ParentHash = ReadHash(ref reader),
        Blocks = reader.ReadUInt32(),
        Tokens = reader.ReadUInt32(),
        Bytes = reader.ReadUInt64(),
        FirstHash = ReadHash(ref reader),
        LastHash = ReadHash(ref reader),
    };

    private static TimeSpan ReadTime(ref HeadReader reader) =>
        TimeSpan.FromMilliseconds(Math.Clamp(reader.ReadInt64(), -1, (long)TimeSpan.MaxValue.TotalMilliseconds / 2));
}
