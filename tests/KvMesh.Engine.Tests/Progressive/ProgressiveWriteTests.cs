using KvMesh.Engine.Blocks;
using KvMesh.Engine.Progressive;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Progressive;

public sealed class ProgressiveWriteTests : IDisposable
{
    /// <summary>Longer than any test waits for anything: only what happens ends such a wait.</summary>
    private static readonly TimeSpan Endless = 10 * Eventually.Patience;

    private readonly SimulatedClock _clock = new();
    private readonly TestEngine _engine;
    private readonly byte[] _payload = TestBytes.Payload(1, Sections.BlockBytes);

    public ProgressiveWriteTests() => _engine = new TestEngine(time: _clock);

    public void Dispose() => _engine.Dispose();

    [Fact]
    public void Sections_are_read_as_they_are_published_and_the_last_one_seals_the_block()
    {
        var write = Sections.Begin(_engine);
        var reader = new SectionFollowing(_engine);
        for (var section = 0; section < Sections.Count; section++)
        {
            Assert.Equal(FollowStatus.NotYet, reader.Read());
            Assert.Null(_engine.Get(Sections.Key));
            Assert.Equal(SealStatus.Sealed, Sections.Publish(_engine, write, _payload, out var isOver));
            Assert.Equal(section == Sections.Count - 1, isOver);
            Assert.Equal(FollowStatus.Ready, reader.Read());
        }

        Assert.True(reader.Bytes.SequenceEqual(_payload));
        Assert.Equal(_payload, _engine.Get(Sections.Key));
        Assert.Equal(0, _engine.Engine.ProgressiveWrites);
    }

    [Fact]
    public void A_reader_of_nothing_is_told_at_once() => Assert.Equal(FollowStatus.Gone, new SectionFollowing(_engine).Read(Endless));

    [Fact]
    public void A_sealed_block_is_read_in_sections_of_any_size()
    {
        _engine.PutContent(Sections.Key, _payload);
        var reader = new SectionFollowing(_engine);

        Assert.Equal(FollowStatus.Ready, reader.Read());
        Assert.Equal(FollowStatus.Ready, reader.Read(maxBytes: int.MaxValue));

        Assert.True(reader.Bytes.SequenceEqual(_payload));
    }

    [Fact]
    public void A_section_that_was_not_right_can_be_sent_again()
    {
        var write = Sections.Begin(_engine);
        for (var section = 0; section < Sections.Count; section++)
        {
            Assert.True(write.TryHold());
            write.BeginSection();
            write.NextSection.Fill(7);
            write.Append(write.NextSection[..(write.NextSectionBytes / 2)]);
            _engine.Engine.EndSection(write);
            write.Release();
            Assert.Equal(SealStatus.Sealed, Sections.Publish(_engine, write, _payload));
        }

        Assert.Equal(_payload, _engine.Get(Sections.Key));
    }

    [Fact]
    public void Readers_follow_the_writer_that_is_furthest()
    {
        var (first, second) = (Sections.Begin(_engine), Sections.Begin(_engine));
        var reader = new SectionFollowing(_engine);
        Sections.Publish(_engine, first, _payload);
        Assert.Equal(FollowStatus.Ready, reader.Read());
        Sections.Publish(_engine, second, _payload);
        Sections.Publish(_engine, second, _payload);

        Assert.Equal(FollowStatus.Ready, reader.Read());
        _engine.Engine.Abandon(second);
        Assert.Equal(FollowStatus.NotYet, reader.Read());
        Sections.Publish(_engine, first, _payload);
        Sections.Publish(_engine, first, _payload);

        Assert.Equal(FollowStatus.Ready, reader.Read());
        Assert.True(reader.Bytes.SequenceEqual(_payload.AsSpan(0, 3 * Sections.Bytes)));
    }

    [Fact]
    public void When_another_seals_first_readers_go_on_with_equal_bytes_and_are_told_of_others()
    {
        var others = (byte[])_payload.Clone();
        others[0] ^= 1;
        var (write, other) = (Sections.Begin(_engine), Sections.Begin(_engine));
        var (reader, otherReader) = (new SectionFollowing(_engine), new SectionFollowing(_engine));
        Sections.Publish(_engine, write, _payload);
        Assert.Equal(FollowStatus.Ready, reader.Read());
        _engine.Engine.Abandon(write);
        Sections.Publish(_engine, other, others);
        Assert.Equal(FollowStatus.Ready, otherReader.Read());

        Assert.Equal(SealStatus.Sealed, _engine.PutContent(Sections.Key, _payload));

        Assert.Equal(FollowStatus.Ready, reader.Read(maxBytes: int.MaxValue));
        Assert.True(reader.Bytes.SequenceEqual(_payload));
        Assert.Equal(FollowStatus.Diverged, otherReader.Read());
        Assert.Equal((SealStatus.AlreadyPresent, true), (Sections.Publish(_engine, other, others, out var isOver), isOver));
        Assert.Equal(0, _engine.Engine.ProgressiveWrites);
    }

    [Fact]
    public async Task A_wait_ends_at_once_when_the_writer_does()
    {
        var write = Sections.Begin(_engine);
        var reading = Eventually.Run(() => new SectionFollowing(_engine).Read(Endless));

        _engine.Engine.Abandon(write);

        Assert.Equal(FollowStatus.Gone, await reading.Within("the end of the wait"));
    }

    [Fact]
    public async Task A_wait_ends_when_somebody_else_seals()
    {
        Sections.Begin(_engine);
        var reader = new SectionFollowing(_engine);
        var reading = Eventually.Run(() => reader.Read(Endless));

        _engine.PutContent(Sections.Key, _payload);

        Assert.Equal(FollowStatus.Ready, await reading.Within("a section"));
    }

    [Fact]
    public async Task A_wait_ends_with_its_token()
    {
        Sections.Begin(_engine);
        using var stop = new CancellationTokenSource();
        var reading = Eventually.Run(() => new SectionFollowing(_engine).Read(Endless, cancellationToken: stop.Token));

        await stop.CancelAsync();

        Assert.Equal(FollowStatus.NotYet, await reading.Within("the end of the wait"));
    }

    [Fact]
    public async Task A_writer_that_publishes_nothing_for_too_long_is_gone()
    {
        var write = Sections.Begin(_engine);
        Sections.Publish(_engine, write, _payload);
        var reader = new SectionFollowing(_engine);
        Assert.Equal(FollowStatus.Ready, reader.Read());

        _clock.Advance(_engine.Options.ProgressiveWriteTimeout + TimeSpan.FromSeconds(1));

        await Eventually.Holds(() => _engine.Engine.ProgressiveWrites == 0, "the end of the write");
        Assert.Equal(FollowStatus.Gone, reader.Read());
        Assert.Equal(SealStatus.ConditionFailed, Sections.Publish(_engine, write, _payload));
        Sections.AwaitEmpty(_engine, "of a writer that was given up");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_a_reader_has_open_stays_whatever_the_writer_does(bool seals)
    {
        var write = Sections.Begin(_engine);
        Sections.Publish(_engine, write, _payload);
        Assert.Equal(FollowStatus.Ready, new SectionFollowing(_engine).Open(out var read));
        if (seals)
        {
            while (write.Published < write.Sections)
            {
                Sections.Publish(_engine, write, _payload);
            }

            Assert.True(_engine.Engine.Remove(_engine.Tenant, Sections.Key));
        }
        else
        {
            _engine.Engine.Abandon(write);
        }

        Assert.NotEqual(0, Sections.AllocatedBytes(_engine));
        Assert.True(_payload.AsSpan(0, Sections.Bytes).SequenceEqual(read.Payload));
        read.Dispose();
        Sections.AwaitEmpty(_engine, "what the reader held");
    }

    [Fact]
    public void Writers_and_readers_hold_no_more_than_their_leases_may()
    {
        using var leases = _engine.Engine.OpenLeases(_engine.Tenant);
        var begun = new List<ProgressiveWrite>();
        while (_engine.Engine.TryBegin(
            _engine.Tenant, [.. Sections.Key, (byte)begun.Count], 1 << 20, 1 << 16, BlockTraits.Content("model", "1", default), leases, out var write) == ReserveStatus.Reserved)
        {
            begun.Add(write!);
            Assert.InRange(Sections.AllocatedBytes(_engine), 0, (long)(_engine.Options.ConnectionLeaseShare * _engine.Options.ArenaBytes));
        }

        Assert.NotEmpty(begun);
        begun.ForEach(_engine.Engine.Abandon);
        Sections.AwaitEmpty(_engine, "what was begun");
        Assert.Equal(FollowStatus.NotYet, FollowAfter(Sections.Begin(_engine, leases)));
    }

    [Fact]
    public async Task Many_readers_get_every_byte_while_two_writers_race()
    {
        for (var round = 0; round < 10; round++)
        {
            byte[] key = [.. Sections.Key, (byte)round];
            var writes = new[] { Sections.Begin(_engine, key: key), Sections.Begin(_engine, key: key) };
            var readers = Enumerable.Range(0, 4).Select(_ => new SectionFollowing(_engine, key)).ToArray();
            var reading = readers.Select(reader => Eventually.Run(() =>
            {
                var status = FollowStatus.Ready;
                while (reader.Bytes.Length < Sections.BlockBytes && status == FollowStatus.Ready)
                {
                    status = reader.Read(Endless);
                }

                return status;
            })).ToArray();
            var writing = writes.Select(write => Eventually.Run(() =>
            {
                var status = SealStatus.Sealed;
                for (var isOver = false; !isOver;)
                {
                    status = Sections.Publish(_engine, write, _payload, out isOver);
                }

                return status;
            })).ToArray();

            var sealing = await Task.WhenAll(writing).Within("the ends of the writers");
            Assert.Single(sealing, SealStatus.Sealed);
            Assert.Single(sealing, SealStatus.AlreadyPresent);
            Assert.All(await Task.WhenAll(reading).Within("the ends of the readers"), status => Assert.Equal(FollowStatus.Ready, status));
            Assert.All(readers, reader => Assert.True(reader.Bytes.SequenceEqual(_payload)));
            Assert.True(_engine.Engine.Remove(_engine.Tenant, key));
        }

        Sections.AwaitEmpty(_engine, "after all rounds");
    }

    private FollowStatus FollowAfter(ProgressiveWrite write)
    {
        var status = new SectionFollowing(_engine).Read();
        _engine.Engine.Abandon(write);
        return status;
    }
}
