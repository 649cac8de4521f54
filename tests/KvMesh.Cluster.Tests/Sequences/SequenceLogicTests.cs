using KvMesh.Cluster.Sequences;
using KvMesh.Protocol;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Sequences;
using KvMesh.TestKit.Sequences;

namespace KvMesh.Cluster.Tests.Sequences;

public sealed class SequenceLogicTests
{
    private const long Start = 1_763_764_200_000;
    private static readonly SequenceUsage Plenty = new(100, 1000, 1 << 30);
    private static readonly SequenceRules Rules = new();

    private long _now = Start;
    private ulong _rowsId = 77;
    private SequenceHead? _head;

    [Fact]
    public void An_open_sequence_is_taken_by_whoever_opens_it_again()
    {
        var first = Do(SequenceCommands.Open(holder: "a"));
        var second = Do(SequenceCommands.Open(holder: "b"));
        Assert.Equal((first.Epoch + 1, "b", 2), (second.Epoch, second.Holder, second.Version));
        var other = Try(SequenceCommands.Open() with { Parts = 2, Scope = new BlockScope("other", "r2", new byte[Limits.ChainHashBytes], 0).Bytes });
        Assert.Equal(SequenceRefusal.AlreadyExists, other.Refusal);
        Assert.Contains($"exists for model '{SequenceCommands.Scope.Model}', revision '{SequenceCommands.Scope.Revision}'", other.Text, StringComparison.Ordinal);
        Assert.Contains("opened for model 'other', revision 'r2', layout 00000000…, parts: 2.", other.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_sequence_becomes_lossless_only_and_stays_so()
    {
        Assert.False(Do(SequenceCommands.Open()).LosslessOnly);
        Assert.True(Do(SequenceCommands.Open() with { LosslessOnly = true }).LosslessOnly);
        var epoch = Do(SequenceCommands.Open()).Epoch;
        Assert.True(_head!.LosslessOnly);
        Do(SequenceCommands.Append(epoch, 0));
        Do(new ParkSequence { Epoch = epoch });
        Assert.True(Do(new ResumeSequence()).LosslessOnly);

        // Under its name another sequence begins anew.
        Do(new CloseSequence());
        Assert.False(Do(SequenceCommands.Open()).LosslessOnly);
    }

    [Fact]
    public void A_parked_sequence_grows_again_once_it_is_resumed()
    {
        var epoch = Do(SequenceCommands.Open()).Epoch;
        Do(SequenceCommands.Append(epoch, 0));
        Assert.Equal("node-3", Do(new ParkSequence { Epoch = epoch, NextHolder = "node-3", ReturnAt = Start + 5 }).Holder);
        Assert.Equal(SequenceRefusal.Parked, Try(SequenceCommands.Append(epoch, 4)).Refusal);
        var resumed = Do(new ResumeSequence { Holder = "node-4" });
        Assert.Equal((SequenceState.Active, epoch + 1, "node-4", 0), (resumed.State, resumed.Epoch, resumed.Holder, resumed.ReturnAt));
        Assert.Equal(SequenceRefusal.StaleEpoch, Try(SequenceCommands.Append(epoch, 4)).Refusal);
        Assert.Equal(8, Do(SequenceCommands.Append(epoch + 1, 4)).Blocks);
    }

    [Fact]
    public void A_pin_is_held_only_while_enough_copies_are_verified()
    {
        var epoch = Do(SequenceCommands.Open()).Epoch;
        Do(SequenceCommands.Append(epoch, 0));
        var pin = Do(new PinSequence { Replicas = 2, Until = Start + 1000 }).Pin;
        Assert.Equal((PinState.Pending, 4, 8000), (pin.State, pin.Blocks, _head!.PinnedBytes));
        Assert.Equal(PinState.Pending, Do(new ConfirmPin { Number = pin.Number, Copies = 1 }).Pin.State);
        Assert.Equal(PinState.Held, Do(new ConfirmPin { Number = pin.Number, Copies = 2 }).Pin.State);
        Assert.Equal(SequenceRefusal.StalePin, Try(new ConfirmPin { Number = pin.Number - 1, Copies = 2 }).Refusal);

        // Later blocks are not in it, and it may be made longer without being verified anew.
        Do(SequenceCommands.Append(epoch, 4));
        Assert.Equal((PinState.Held, 4), (_head!.Pin.State, _head.Pin.Blocks));
        Assert.Equal(SequenceEventKind.PinLost, Try(new ConfirmPin { Number = pin.Number, Copies = 1 }).Event);
        Assert.Equal(PinState.Pending, Do(new ConfirmPin { Number = pin.Number, Copies = 1 }).Pin.State);
        Assert.Equal((PinState.Pending, pin.Number + 1, 8), (Do(new PinSequence { Replicas = 2, Until = Start + 9000 }).Pin.State, _head!.Pin.Number, _head.Pin.Blocks));
        Do(new ConfirmPin { Number = pin.Number + 1, Copies = 3 });
        Assert.Equal((PinState.Held, Start + 20_000), (Do(new PinSequence { Replicas = 2, Until = Start + 20_000 }).Pin.State, _head!.Pin.Until));

        _now = Start + 20_000;
        Assert.Equal(SequenceRefusal.StalePin, Try(new ConfirmPin { Number = pin.Number + 1, Copies = 3 }).Refusal);
        Assert.Equal(0, SequenceUsage.Of(Do(new PinSequence { Replicas = 0 })).PinnedBytes);
    }

    [Fact]
    public void A_pin_of_an_earlier_life_of_the_name_is_another_pin()
    {
        var first = DoPin(rowsId: 0x1234_5678_9abc_def0);
        Do(new CloseSequence());
        var second = DoPin(rowsId: 0x8765_4321_9abc_def0);

        Assert.NotEqual(first, second);
        Assert.Equal(SequenceRefusal.StalePin, Try(new ConfirmPin { Number = first, Copies = 2 }).Refusal);
        Assert.Equal(SequenceEventKind.PinHeld, Try(new ConfirmPin { Number = second, Copies = 2 }).Event);
    }

    [Fact]
    public void A_pin_keeps_an_idle_sequence_until_its_end()
    {
        Do(SequenceCommands.Open() with { IdleLimit = TimeSpan.FromSeconds(10) });
        Do(new PinSequence { Replicas = 1, Until = Start + 60_000 });
        _now = Start + 59_999;
        Assert.Equal(SequenceState.Active, SequenceLogic.Ended(_head, _now)!.State);
        _now = Start + 60_000;
        Assert.Equal(SequenceRefusal.Closed, Try(new ParkSequence()).Refusal);
        Assert.Equal(SequenceEventKind.Opened, Try(SequenceCommands.Open()).Event);
    }

    [Fact]
    public void The_scheduler_keeps_no_sequence_alive()
    {
        Do(SequenceCommands.Open() with { IdleLimit = TimeSpan.FromSeconds(10) });
        Do(new PinSequence { Replicas = 1, Until = Start + 5_000 });
        _now = Start + 4_000;
        Do(new ConfirmPin { Number = 1, Copies = 1 });
        Assert.Equal(Start, _head!.TouchedAt);
    }

    [Fact]
    public void A_name_that_is_used_again_has_another_epoch()
    {
        var old = Do(SequenceCommands.Open()).Epoch;
        Do(SequenceCommands.Append(old, 0));
        Do(new CloseSequence { Epoch = old });
        Assert.Equal(SequenceRefusal.Closed, Try(SequenceCommands.Append(old, 4)).Refusal);
        Assert.Equal(SequenceRefusal.Closed, Try(new ResumeSequence()).Refusal);
        var next = Do(SequenceCommands.Open());
        Assert.Equal((0, 0, true), (next.Blocks, next.Segments, next.Epoch > old));
        Assert.Equal(SequenceRefusal.StaleEpoch, Try(SequenceCommands.Append(old, 0)).Refusal);

        // Also when nobody remembers the first life any more.
        _head = null;
        _now++;
        Assert.NotEqual(old, Do(SequenceCommands.Open()).Epoch);
    }

    [Fact]
    public void Owners_of_two_histories_of_a_store_that_lost_steps_have_different_epochs()
    {
        Do(SequenceCommands.Open());
        var kept = _head;
        _now = Start + 1000;
        var lost = Do(new ResumeSequence { Holder = "a" }).Epoch;

        _head = kept;
        _now = Start + 2000;
        Assert.NotEqual(lost, Do(new ResumeSequence { Holder = "b" }).Epoch);
        Assert.Equal(SequenceRefusal.StaleEpoch, Try(SequenceCommands.Append(lost, 0)).Refusal);
    }

    [Fact]
    public void Operators_need_no_epoch_and_owners_the_right_one()
    {
        var epoch = Do(SequenceCommands.Open()).Epoch;
        Assert.Equal(SequenceRefusal.StaleEpoch, Try(new ParkSequence { Epoch = epoch - 1 }).Refusal);
        Assert.Equal(SequenceRefusal.StaleEpoch, Try(new CloseSequence { Epoch = epoch + 1 }).Refusal);
        Assert.Equal(SequenceRefusal.StaleEpoch, Try(SequenceCommands.Append(0, 0)).Refusal);
        Assert.False(Try(new ParkSequence()).IsRefusal);
        Assert.False(Try(new CloseSequence()).IsRefusal);
    }

    [Fact]
    public void A_request_id_stands_for_one_command()
    {
        var epoch = Do(SequenceCommands.Open(requestId: 1)).Epoch;
        var append = SequenceCommands.Append(epoch, 0, requestId: 2);
        Do(append);
        Assert.True(Try(append).IsRepetition);
        Assert.Equal(SequenceRefusal.Invalid, Try(new CloseSequence { RequestId = 2 }).Refusal);
        for (var index = 1; index <= SequenceLimits.RememberedRequests; index++)
        {
            Do(SequenceCommands.Append(epoch, index * 4, requestId: (ulong)(10 + index)));
        }

        // So long ago that it is forgotten: the parent check refuses it.
        Assert.Equal(SequenceRefusal.WrongParent, Try(append).Refusal);
        Assert.Equal(SequenceLimits.RememberedRequests, _head!.Recent.Length);
    }

    [Fact]
    public void Limits_of_one_sequence_are_told()
    {
        var epoch = Do(SequenceCommands.Open()).Epoch;
        _head = _head! with { Segments = SequenceLimits.MaxSegments };
        var refused = Try(SequenceCommands.Append(epoch, 0));
        Assert.Equal(SequenceRefusal.TooLarge, refused.Refusal);
        Assert.Contains($"{SequenceLimits.MaxSegments}", refused.Text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, 1, 1, "blocks is 0")]
    [InlineData(5000, 1, 2, "blocks is 5000")]
    [InlineData(1, 1, 2, "different")]
    [InlineData(2, 1, 1, "equal")]
    [InlineData(2, 0, 1, "must not be zero")]
    public void A_run_that_makes_no_sense_is_refused_by_name(uint blocks, int first, int last, string text)
    {
        var epoch = Do(SequenceCommands.Open()).Epoch;
        var refused = Try(new AppendSegment { Epoch = epoch, Blocks = blocks, FirstHash = SequenceCommands.Hash(first), LastHash = SequenceCommands.Hash(last) });
        Assert.Equal(SequenceRefusal.Invalid, refused.Refusal);
        Assert.Contains(text, refused.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void What_the_quota_does_not_hold_is_refused_and_costs_nothing()
    {
        var refused = SequenceLogic.Apply(null, SequenceCommands.Open(), _now, 1, default, Rules);
        Assert.Equal((SequenceRefusal.QuotaExceeded, new SequenceUsage(1, 0, 0)), (refused.Refusal, refused.Cost));
        var epoch = Do(SequenceCommands.Open()).Epoch;
        Assert.Equal(SequenceRefusal.QuotaExceeded, SequenceLogic.Apply(_head, SequenceCommands.Append(epoch, 0), _now, 1, new SequenceUsage(9, 0, 9), Rules).Refusal);
        Assert.False(SequenceLogic.Apply(_head, new CloseSequence(), _now, 1, default, Rules).IsRefusal);
    }

    [Fact]
    public void Nothing_is_there_before_it_is_opened() => Assert.Equal(SequenceRefusal.NotFound, Try(new ResumeSequence()).Refusal);

    /// <summary>The number of a pin of a sequence that is opened for it.</summary>
    private uint DoPin(ulong rowsId)
    {
        _rowsId = rowsId;
        Do(SequenceCommands.Append(Do(SequenceCommands.Open()).Epoch, 0));
        return Do(new PinSequence { Replicas = 2, Until = Start + 1000 }).Pin.Number;
    }

    private SequenceDecision Try(SequenceCommand command) => SequenceLogic.Apply(_head, command, _now, _rowsId, Plenty, Rules);

    private SequenceHead Do(SequenceCommand command)
    {
        var decision = Try(command);
        Assert.True(decision.IsChange, decision.Text);
        _head = decision.Head!;
        return _head;
    }
}
