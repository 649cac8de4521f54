using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Protocol.Tests.Native;

public sealed class SequenceMessageTests
{
    private static readonly Verb[] Commands =
        [Verb.SequenceOpen, Verb.SequenceAppend, Verb.SequenceFork, Verb.SequencePin, Verb.SequencePark, Verb.SequenceResume, Verb.SequenceClose];

    [Fact]
    public void Every_command_is_read_as_it_was_written()
    {
        foreach (var (name, frame) in Frames.All.Where(pair => pair.Key.StartsWith("sequence-", StringComparison.Ordinal)))
        {
            var (verb, head) = Take(frame);
            if (!name.EndsWith("-request", StringComparison.Ordinal) || !Commands.Contains(verb))
            {
                continue;
            }

            Assert.True(SequenceRequests.TryRead(verb, head, out var subject, out var command), name);
            var writer = new FrameWriter();
            writer.Begin(verb, 1, FrameFlags.None);
            SequenceRequests.Write(writer, subject, command);
            writer.End(NativeStatus.Ok);
            Assert.Equal(head, Take(writer.Pending.ToArray()).Head);
            for (var cut = 0; cut < head.Length; cut++)
            {
                if (name.Contains("lossless", StringComparison.Ordinal) && cut == head.Length - sizeof(uint))
                {
                    // Its flags stand behind everything else: without them it is what a client from before them says.
                    Assert.True(SequenceRequests.TryRead(verb, head.AsSpan(0, cut), out _, out var before));
                    Assert.False(before is OpenSequence { LosslessOnly: true } or ForkSequence { LosslessOnly: true });
                    continue;
                }

                Assert.False(SequenceRequests.TryRead(verb, head.AsSpan(0, cut), out _, out _), $"{name} was understood without its last {head.Length - cut} bytes");
            }
        }
    }

    [Fact]
    public void A_sequence_is_read_as_it_was_written()
    {
        var (_, head) = Take(Frames.All["sequence-show-response"]);
        var reader = new HeadReader(head);
        reader.ReadUInt32();
        var read = SequenceAnswers.ReadInfo(ref reader);
        Assert.True(reader.IsComplete);
        Assert.Equal(Frames.Sequence.Scope.ToArray(), read.Scope.ToArray());
        Assert.Equal(Frames.Sequence with { Scope = default }, read with { Scope = default });
    }

    [Fact]
    public void That_a_sequence_is_lossless_only_is_read_by_itself_and_in_a_list()
    {
        var (_, head) = Take(Frames.All["sequence-show-lossless-response"]);
        var reader = new HeadReader(head);
        Assert.True(SequenceAnswers.ReadOne(ref reader, out var isRepetition).LosslessOnly);
        Assert.True(isRepetition && reader.IsComplete);

        (_, head) = Take(Frames.All["sequence-list-lossless-response"]);
        reader = new HeadReader(head);
        Assert.True(SequenceAnswers.TryReadList(ref reader, out var sequences, out _));
        Assert.Equal([true, false], sequences.Select(sequence => sequence.LosslessOnly));
    }

    [Fact]
    public void No_bytes_make_a_reader_fail()
    {
        var random = new Random(88);
        foreach (var (_, frame) in Frames.All.Where(pair => pair.Key.StartsWith("sequence-", StringComparison.Ordinal)))
        {
            var (_, head) = Take(frame);
            for (var round = 0; round < 500; round++)
            {
                var bytes = head.ToArray();
                for (var change = random.Next(1, 6); change > 0 && bytes.Length > 0; change--)
                {
                    bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
                }

                var part = bytes.AsSpan(0, random.Next(bytes.Length + 1));
                foreach (var verb in Commands)
                {
                    SequenceRequests.TryRead(verb, part, out _, out _);
                }

                var list = new HeadReader(part);
                SequenceAnswers.TryReadList(ref list, out _, out _);
                var rows = new HeadReader(part);
                SequenceAnswers.TryReadRows(ref rows, out _, out _, out _);
                var refusal = new HeadReader(part);
                SequenceAnswers.ReadRefusal(ref refusal);
            }
        }
    }

    [Theory]
    [InlineData("", "empty")]
    [InlineData("-a", "begins")]
    [InlineData("a/b", "contain")]
    [InlineData("ä", "begins")]
    public void A_wrong_name_is_told(string name, string text)
    {
        Assert.False(SequenceLimits.IsName(name, out var error));
        Assert.Contains(text, error, StringComparison.Ordinal);
        Assert.True(SequenceLimits.IsName("chat-17:turn_3.b", out _));
        Assert.False(SequenceLimits.IsName(new string('a', SequenceLimits.MaxNameCharacters + 1), out _));
    }

    private static (Verb Verb, byte[] Head) Take(byte[] frame)
    {
        var channel = new MemoryChannel(frame);
        var receiver = new FrameReceiver();
        Assert.Equal(FrameArrival.Frame, receiver.Next(channel, out var header));
        return (header.Verb, receiver.Head.ToArray());
    }
}
