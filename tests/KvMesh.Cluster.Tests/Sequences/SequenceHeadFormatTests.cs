using KvMesh.Cluster.Sequences;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Cluster.Tests.Sequences;

public sealed class SequenceHeadFormatTests
{
    private const long Moment = 1_763_764_200_000;

    private static readonly BlockScope Scope = new("llama-3-8b", "r1", [.. Enumerable.Range(0, 32).Select(value => (byte)value)], 0);

    private static SequenceHead Small => new()
    {
        Version = 1,
        State = SequenceState.Active,
        Epoch = Moment,
        Scope = Scope.Bytes,
        Parts = 1,
        CreatedAt = Moment,
        TouchedAt = Moment,
        IdleMilliseconds = 60_000,
        ExpiresAt = Moment + 600_000,
        RowsId = 5,
    };

    private static SequenceHead Full => new()
    {
        Version = 7,
        State = SequenceState.Parked,
        Epoch = Moment + 5,
        Scope = Scope.Bytes,
        Parts = 2,
        Holder = "node-2",
        Blocks = 130,
        Tokens = 8320,
        Bytes = 130 << 20,
        Segments = 3,
        LastHash = new BlockHash([.. Enumerable.Repeat((byte)0xA1, 32)]),
        CreatedAt = Moment,
        TouchedAt = Moment + 60_000,
        IdleMilliseconds = 86_400_000,
        ExpiresAt = Moment + (30L * 86_400_000),
        RowsId = 0xFFEE_DDCC_BBAA_9988,
        Forks = 2,
        Origin = new SequenceOrigin("chat-1", 0x1122_3344_5566_7788, 2, 100, new BlockHash([.. Enumerable.Repeat((byte)0xB2, 32)]), 1),
        Pin = new PinStatus(PinState.Pending, 4, 2, 1, 128, Moment + 86_400_000),
        PinnedBytes = 256 << 20,
        ReturnAt = Moment + 3_600_000,
        Recent = [new RememberedRequest(0x0102_0304_0506_0708, SequenceEventKind.Forked, Moment + 5), new RememberedRequest(9, SequenceEventKind.Parked, Moment + 5)],
    };

    [Fact]
    public void Heads_are_written_and_read_as_they_always_were()
    {
        foreach (var (name, head) in new[] { ("sequence-head", Full), ("sequence-head-small", Small), ("sequence-head-lossless", Small with { LosslessOnly = true }) })
        {
            var golden = Golden.Read(name);
            Assert.Equal(Convert.ToHexStringLower(golden), Convert.ToHexStringLower(SequenceHeadFormat.Write(head)));
            Assert.Equal(SequenceHeadFormat.TryRead(SequenceHeadFormat.Write(head))!.ToInfo("x", Moment), SequenceHeadFormat.TryRead(golden)!.ToInfo("x", Moment), Comparer);
            Assert.Equal(head.Version, SequenceHeadFormat.VersionOf(golden));
        }
    }

    [Fact]
    public void The_stamp_of_a_step_stands_where_earlier_versions_of_the_program_write_zeros()
    {
        var bytes = SequenceHeadFormat.Write(Full with { Stamp = 0xAB_CDEF });
        Assert.Equal(0xAB_CDEF, SequenceHeadFormat.TryRead(bytes)!.Stamp);
        bytes.AsSpan(SequenceHeadFormat.StampOffset, SequenceHeadFormat.StampBytes).Clear();
        Assert.Equal(SequenceHeadFormat.Write(Full), bytes);
    }

    [Fact]
    public void Fields_of_a_later_version_are_kept()
    {
        var golden = Golden.Read("sequence-head-later");
        var head = SequenceHeadFormat.TryRead(golden)!;
        Assert.Equal(60_000, head.IdleMilliseconds);
        Assert.Equal(golden, SequenceHeadFormat.Write(head));
    }

    [Fact]
    public void The_largest_head_is_a_kilobyte()
    {
        var scope = new BlockScope(new string('m', 255), new string('r', SequenceLimits.MaxScopeBytes - 39 - 255), new byte[32], 0);
        Assert.Equal(SequenceLimits.MaxScopeBytes, scope.Bytes.Length);
        var head = Full with
        {
            Version = long.MaxValue,
            Epoch = long.MaxValue,
            Scope = scope.Bytes,
            LosslessOnly = true,
            Parts = SequenceLimits.MaxParts,
            Holder = new string('h', SequenceLimits.MaxHolderBytes),
            Blocks = SequenceLimits.MaxBlocks,
            Tokens = long.MaxValue,
            Bytes = long.MaxValue,
            Segments = SequenceLimits.MaxSegments,
            CreatedAt = long.MaxValue,
            TouchedAt = long.MaxValue,
            IdleMilliseconds = long.MaxValue,
            ExpiresAt = long.MaxValue,
            RowsId = ulong.MaxValue,
            Forks = SequenceLimits.MaxForks,
            Origin = new SequenceOrigin(new string('o', SequenceLimits.MaxNameCharacters), ulong.MaxValue, SequenceLimits.MaxSegments, SequenceLimits.MaxBlocks, Full.LastHash, SequenceLimits.MaxForkDepth),
            PinnedBytes = long.MaxValue,
            ReturnAt = long.MaxValue,
            ClosedAt = long.MaxValue,
            Recent = [.. Enumerable.Range(1, SequenceLimits.RememberedRequests).Select(id => new RememberedRequest((ulong)id, SequenceEventKind.Appended, long.MaxValue))],
        };
        var bytes = SequenceHeadFormat.Write(head);
        Assert.InRange(bytes.Length, 800, SequenceLimits.MaxHeadBytes);

        // At the very largest the oldest request may be forgotten, nothing else.
        var read = SequenceHeadFormat.TryRead(bytes)!;
        Assert.InRange(read.Recent.Length, 4, SequenceLimits.RememberedRequests);
        Assert.Equal(head.Recent[^1], read.Recent[^1]);
        Assert.Equal(head.Origin, read.Origin);
    }

    [Fact]
    public void No_bytes_make_the_reader_fail()
    {
        var random = new Random(20_261);
        byte[][] seeds = [SequenceHeadFormat.Write(Full), SequenceHeadFormat.Write(Small), Golden.Read("sequence-head-later")];
        for (var round = 0; round < 20_000; round++)
        {
            var bytes = seeds[round % seeds.Length].ToArray();
            for (var change = random.Next(1, 5); change > 0; change--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            var cut = bytes.AsSpan(0, random.Next(4) == 0 ? random.Next(bytes.Length) : bytes.Length);
            if (random.Next(2) == 0 && cut.Length >= 8)
            {
                BitConverter.TryWriteBytes(cut[4..], (uint)cut.Length);
            }

            if (SequenceHeadFormat.TryRead(cut) is { } head)
            {
                // Whatever was understood can be written and understood again.
                Assert.NotNull(SequenceHeadFormat.TryRead(SequenceHeadFormat.Write(head)));
            }
        }
    }

    [Fact]
    public void A_row_is_written_and_read_as_it_always_was()
    {
        var golden = Golden.Read("sequence-row");
        Assert.True(SegmentRow.TryRead(golden, out var row));
        Assert.Equal((64u, 16u, 4096ul, 1024u, 64ul << 20, 16ul << 20), (row.StartBlock, row.Blocks, row.StartToken, row.Tokens, row.StartByte, row.Bytes));
        Assert.Equal(golden, SegmentRow.WriteAll([row]));
        for (var index = 0; index < golden.Length; index++)
        {
            var damaged = golden.ToArray();
            damaged[index] ^= 0x10;
            Assert.True(!SegmentRow.TryRead(damaged, out _) || index is 1 or 2 or 3, $"a wrong byte {index} was not noticed");
        }
    }

    private static readonly IEqualityComparer<SequenceInfo> Comparer = EqualityComparer<SequenceInfo>.Create(
        (left, right) => left! with { Scope = default } == right! with { Scope = default } && left.Scope.Span.SequenceEqual(right.Scope.Span), info => info.Name.Length);
}

internal static class Golden
{
    public static byte[] Read(string name)
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(directory!.FullName, "KvMesh.sln")))
        {
            directory = directory.Parent;
        }

        var lines = File.ReadAllLines(Path.Combine(directory.FullName, "tests", "golden", name + ".hex")).Where(line => !line.StartsWith('#'));
        return Convert.FromHexString(string.Concat(lines));
    }
}
