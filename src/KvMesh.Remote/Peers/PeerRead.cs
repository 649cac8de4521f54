using System.Diagnostics;
using KvMesh.Cluster.Removals;
using KvMesh.Engine.FarTiers;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Remote.Peers;

/// <summary>
/// Reads one block from the nodes that are said to hold it, on one thread: the first is asked; when it is slower than usual the second is
/// asked too and the first good answer wins; a large block comes in parts from all of them. Bytes go from the sockets to where they stay.
/// </summary>
internal sealed partial class PeerRead(
    string tenant, byte[] key, IReadOnlyList<PeerCandidate> candidates, IBlockIntake intake, PullGuard guard, PeerReadSurroundings around)
{
    /// <summary>Requests that one node has at a time: the next is on its way while the answer to the first comes.</summary>
    private const int MaxAsked = 2;

    /// <summary>Longest wait before a look at the time left, which becomes none when the node stops.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromMilliseconds(100);

    private readonly int _mark = around.Locator.MarkOf(tenant, key);
    private readonly RangeBoard _board = new(around.Options.SplitBytes, around.Options.RangeBytes);
    private readonly List<PeerSource> _sources = [];
    private readonly List<Peer> _liars = [];
    private uint _tableChecksum;
    private int _nextCandidate;
    private int _asked;
    private PeerCandidate? _again;
    private bool _isGivenUp;
    private bool _hasFailed;
    private bool _isLossy;

    public FetchOutcome Run()
    {
        var startedAt = around.Time.GetUtcNow();
        try
        {
            while (!_isGivenUp && !_board.IsComplete && HasSource() && intake.Remaining is var rest && rest > TimeSpan.Zero)
            {
                if (!PumpAll() && !_board.IsComplete && !_isGivenUp)
                {
                    WaitForBytes(rest);
                }
            }
        }
        finally
        {
            End();
        }

        var outcome = _board.IsComplete ? FetchOutcome.Filled
            : _hasFailed || _isGivenUp || intake.Remaining == TimeSpan.Zero ? FetchOutcome.Failed
            : _isLossy ? FetchOutcome.Lossy
            : FetchOutcome.FalseHit;
        if (_hasFailed || _asked > 1 || outcome == FetchOutcome.Failed)
        {
            Trace(outcome, startedAt);
        }

        return outcome;
    }

    /// <summary>Leaves a span of a pull that took more than one node, or did not come: what an operator asks for when reads are slow.</summary>
    private void Trace(FetchOutcome outcome, DateTimeOffset startedAt)
    {
        using var activity = RemoteActivities.Start("pull block", startedAt);
        activity?.SetTag("kvmesh.tenant", tenant).SetTag("kvmesh.outcome", outcome == FetchOutcome.Filled ? "hit" : outcome == FetchOutcome.Failed ? "failed" : outcome == FetchOutcome.Lossy ? "lossy" : "false_hit")
            .SetTag("kvmesh.nodes.asked", _asked).SetTag("kvmesh.block.bytes", _board.IsKnown ? _board.BlockBytes : 0)
            .SetStatus(outcome == FetchOutcome.Failed ? ActivityStatusCode.Error : ActivityStatusCode.Unset);
    }

    /// <summary>Whether somebody brings something; asks those who have nothing to do, and then the next node, when nobody does.</summary>
    private bool HasSource()
    {
        if (_sources.Exists(static source => source.IsBusy))
        {
            return true;
        }

        foreach (var source in _sources.ToArray())
        {
            AskAhead(source);
        }

        return _sources.Exists(static source => source.IsBusy)
            || (TryAddSource(waits: true) && _sources.Exists(static source => source.IsBusy));
    }

    /// <summary>Takes what is here from everyone. False: nothing was.</summary>
    private bool PumpAll()
    {
        var progressed = false;
        for (var index = _sources.Count - 1; index >= 0 && !_isGivenUp; index--)
        {
            // The list changes while a source is pumped: those behind it have had their turn.
            if (index < _sources.Count)
            {
                progressed |= Pump(_sources[index]);
            }
        }

        return progressed;
    }

    private bool Pump(PeerSource source)
    {
        var progressed = false;
        try
        {
            while (source.IsBusy && !_isGivenUp && _sources.Contains(source) && Step(source))
            {
                progressed = true;
                if (_sources.Count > 1)
                {
                    break;
                }
            }
        }
        catch (ChannelException)
        {
            Lose(source);
            return true;
        }
        catch (PeerRefusalException refusal)
        {
            _hasFailed = true;
            around.NoteRefusal(source.Peer, tenant, refusal.Message);
            Drop(source);
            return true;
        }

        return progressed;
    }

    private void AskAhead(PeerSource source)
    {
        try
        {
            while (_sources.Contains(source) && source.Asked < MaxAsked && _board.TryTake(out var range))
            {
                source.Ask(key, range, around.Time.GetTimestamp());
            }
        }
        catch (ChannelException)
        {
            Lose(source);
        }
    }

    /// <summary>Waits for anybody's bytes, or until somebody is slower than usual and another one can be asked.</summary>
    private void WaitForBytes(TimeSpan rest)
    {
        var slowest = _nextCandidate < candidates.Count || _sources.Exists(static source => !source.IsBusy)
            ? _sources.Where(static source => source.IsBusy && !source.IsOvertaken).MinBy(source => HedgeIn(source, rest))
            : null;
        if (slowest is not null && HedgeIn(slowest, rest) is var hedge && hedge < rest)
        {
            if (hedge <= TimeSpan.Zero)
            {
                Hedge(slowest);
                return;
            }

            rest = hedge;
        }

        var sockets = _sources.Where(static source => source.IsBusy).Select(static source => source.Connection.Socket).ToArray();
        if (sockets.Length > 0)
        {
            SocketPoll.Wait(sockets, rest < LongestWait ? rest : LongestWait);
        }
    }

    /// <summary>Time until a source is slower than it was in 95 of 100 cases.</summary>
    private TimeSpan HedgeIn(PeerSource source, TimeSpan rest)
    {
        var usual = source.IsReceiving ? source.Peer.Reads.P95(source.Current.Bytes) : source.Peer.FirstAnswers.P95(0);
        var after = usual ?? around.Options.FirstHedge;
        after = after < around.Options.ShortestHedge ? around.Options.ShortestHedge : after;
        var left = after - around.Time.GetElapsedTime(source.Since);
        return left < rest / 2 ? left : rest / 2;
    }

    private void Hedge(PeerSource slow)
    {
        slow.IsOvertaken = true;
        var other = _sources.Find(static source => !source.IsBusy);
        if (other is null && TryAddSource(waits: false))
        {
            other = _sources[^1];
        }

        if (other is null || other == slow)
        {
            return;
        }

        other.Peer.CountHedge();
        if (_board.IsKnown)
        {
            // It has begun, and is slow in the middle: the other brings the rest instead.
            slow.Peer.Lost();
            Drop(slow);
            AskAhead(other);
        }
    }

    /// <summary>Asks the next node that can be asked for the next part that nobody brings.</summary>
    private bool TryAddSource(bool waits)
    {
        while ((_again is not null || _nextCandidate < candidates.Count) && intake.Remaining > TimeSpan.Zero)
        {
            var isAgain = _again is not null;
            var candidate = _again ?? candidates[_nextCandidate++];
            _again = null;
            var patience = waits ? intake.Remaining / 2 : TimeSpan.Zero;
            if (!candidate.Peer.Pool.TryRent(tenant, intake.Priority, patience, isAgain, out var connection))
            {
                _hasFailed = true;
                candidate.Peer.Failed();
                continue;
            }

            if (connection is null)
            {
                _hasFailed = true;
                continue;
            }

            var source = new PeerSource(candidate, connection, guard, intake.LosslessOnly);
            _sources.Add(source);
            _asked++;
            try
            {
                if (!_board.IsKnown)
                {
                    source.Ask(key, _board.First, around.Time.GetTimestamp());
                }
                else
                {
                    AskAhead(source);
                }
            }
            catch (ChannelException)
            {
                Lose(source);
            }

            if (_sources.Contains(source))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>A connection broke. One that had waited in the pool may have been closed long ago: then its node is asked again.</summary>
    private void Lose(PeerSource source)
    {
        if (source.Connection.HasBeenIdle && !source.HasAnswered)
        {
            _again = source.Candidate;
        }
        else
        {
            _hasFailed = true;
            source.Peer.Failed();
        }

        Drop(source);
    }

    /// <summary>Takes nothing more from a source; what it was to bring is open again.</summary>
    private void Drop(PeerSource source)
    {
        if (_board.IsKnown)
        {
            foreach (var range in source.Unfinished())
            {
                // What was asked for before the length was known may reach behind the end.
                _board.Return(range with { Bytes = Math.Min(range.Bytes, Math.Max(0, _board.BlockBytes - range.Start)) });
            }
        }

        _sources.Remove(source);
        source.Peer.Pool.Return(source.Connection);
    }

    private void End()
    {
        foreach (var source in _sources.ToArray())
        {
            var silence = around.Time.GetElapsedTime(source.Since);
            if (!_board.IsComplete && !_isGivenUp && source.IsBusy && silence > around.Options.FirstHedge)
            {
                _hasFailed = true;
                source.Peer.Failed();
            }

            _sources.Remove(source);
            source.Peer.Pool.Return(source.Connection);
        }

        foreach (var liar in _liars)
        {
            around.ReportMismatch(liar, tenant, key);
        }
    }
}
