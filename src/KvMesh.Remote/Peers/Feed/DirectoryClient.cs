using System.Collections.Concurrent;
using System.Diagnostics;
using KvMesh.Cluster.Map;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Remote.Peers.Feed;

/// <summary>
/// Asks the directories of other nodes. The questions of a round leave together, one to each directory, before the first answer is
/// waited for. A directory that fails is left alone for a while and the next one of the slot is asked, as long as there is time.
/// </summary>
public sealed class DirectoryClient(NodeId self, PeerCredential credential, TimeProvider time) : IDirectoryClient, IDisposable
{
    /// <summary>Connections that are kept to one directory while nobody uses them.</summary>
    private const int MaxIdle = 8;

    private static readonly TimeSpan Penalty = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<NodeId, ConcurrentBag<LocateConnection>> _idle = new();
    private readonly ConcurrentDictionary<NodeId, long> _failedAt = new();
    private volatile bool _isDisposed;

    public bool Locate(SlotAssignment assignment, in DigestSecret secret, ReadOnlySpan<KeyDigest> digests, Span<BlockHolders> holders, BlockMap map, TimeSpan limit)
    {
        ArgumentNullException.ThrowIfNull(assignment);
        holders[..digests.Length].Clear();
        var startedAt = Stopwatch.GetTimestamp();
        var open = Enumerable.Range(0, digests.Length).ToList();
        var isAnswered = false;
        for (var attempt = 0; attempt < SlotAssignment.DirectoriesPerSlot && open.Count > 0; attempt++)
        {
            var rest = limit - Stopwatch.GetElapsedTime(startedAt);
            if (rest <= TimeSpan.Zero || _isDisposed)
            {
                break;
            }

            var round = Choose(assignment, digests, open, attempt);
            isAnswered |= AskAll(round, DigestKeyId.Of(secret), digests, holders, map, open, rest);
        }

        return isAnswered;
    }

    public void Dispose()
    {
        _isDisposed = true;
        foreach (var connections in _idle.Values)
        {
            while (connections.TryTake(out var connection))
            {
                connection.Dispose();
            }
        }
    }

    /// <summary>Which directory is asked for which digests. Those that failed a moment ago come last.</summary>
    private List<Question> Choose(SlotAssignment assignment, ReadOnlySpan<KeyDigest> digests, List<int> open, int attempt)
    {
        var round = new Dictionary<NodeId, Question>();
        foreach (var index in open)
        {
            var directories = assignment.DirectoriesOf(DigestSlots.Of(digests[index])).ToArray()
                .Select(place => assignment.Nodes[place])
                .Where(node => node.Id != self)
                .OrderBy(node => HasFailed(node.Id))
                .ToList();
            if (attempt < directories.Count)
            {
                var node = directories[attempt];
                if (!round.TryGetValue(node.Id, out var question))
                {
                    round.Add(node.Id, question = new Question(node, []));
                }

                question.Indexes.Add(index);
            }
        }

        return [.. round.Values];
    }

    private bool HasFailed(NodeId node) => _failedAt.TryGetValue(node, out var at) && time.GetElapsedTime(at) < Penalty;

    /// <summary>Sends all questions, then takes the answers. What is answered leaves <paramref name="open"/>.</summary>
    private bool AskAll(
        List<Question> round, ulong keyId, ReadOnlySpan<KeyDigest> digests, Span<BlockHolders> holders, BlockMap map, List<int> open, TimeSpan limit)
    {
        // When the time is over every connection that still waits is shut down, which ends the wait.
        using var timeout = new CancellationTokenSource(limit, time);
        var isAnswered = false;
        foreach (var question in round)
        {
            Try(question, () => Send(question, keyId, timeout.Token), digests);
        }

        foreach (var question in round.Where(question => question.Connection is not null))
        {
            var sure = new List<int>();
            var found = new List<(int Index, BlockHolders Holders)>();
            if (Try(question, () => question.Connection!.Receive(question.Indexes, map, found, sure)))
            {
                isAnswered = true;
                foreach (var (index, answer) in found)
                {
                    holders[index] = answer;
                }

                open.RemoveAll(sure.Contains);
                Keep(question);
            }
        }

        return isAnswered;
    }

    private void Send(Question question, ulong keyId, CancellationToken cancellationToken)
    {
        question.Connection = _idle.TryGetValue(question.Node.Id, out var idle) && idle.TryTake(out var kept)
            ? kept
            : LocateConnection.Connect(question.Node.NativeAddress, credential.TokenFor(question.Node.Id), cancellationToken);
        question.Watch = cancellationToken.UnsafeRegister(static connection => ((LocateConnection)connection!).Abort(), question.Connection);
        question.Connection.Send(keyId, question.Digests);
    }

    private bool Try(Question question, Action step, ReadOnlySpan<KeyDigest> digests)
    {
        question.Digests = new KeyDigest[question.Indexes.Count];
        for (var index = 0; index < question.Digests.Length; index++)
        {
            question.Digests[index] = digests[question.Indexes[index]];
        }

        return Try(question, step);
    }

    private bool Try(Question question, Action step)
    {
        try
        {
            step();
            return true;
        }
        catch (Exception error) when (error is ChannelException or OperationCanceledException or ObjectDisposedException)
        {
            // The next directory of the slot is as good.
            _failedAt[question.Node.Id] = time.GetTimestamp();
            question.Watch.Dispose();
            question.Connection?.Dispose();
            question.Connection = null;
            return false;
        }
    }

    private void Keep(Question question)
    {
        question.Watch.Dispose();
        _failedAt.TryRemove(question.Node.Id, out _);
        var idle = _idle.GetOrAdd(question.Node.Id, static _ => []);
        if (_isDisposed || idle.Count >= MaxIdle)
        {
            question.Connection!.Dispose();
        }
        else
        {
            idle.Add(question.Connection!);
        }
    }

    /// <summary>One directory and the places of the digests that it is asked about.</summary>
    private sealed class Question(NodeRecord node, List<int> indexes)
    {
        public NodeRecord Node => node;

        public List<int> Indexes => indexes;

        public KeyDigest[] Digests { get; set; } = [];

        public LocateConnection? Connection { get; set; }

        public CancellationTokenRegistration Watch { get; set; }
    }
}
