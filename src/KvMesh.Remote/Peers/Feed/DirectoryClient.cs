using System.Collections.Concurrent;
using System.Diagnostics;
using KvMesh.Cluster.Map;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Remote.Peers.Feed;

/// <summary>
/// Asks the directories of other nodes. The questions of a round leave together, one to each directory, before the first answer is
/// waited for, and connections are made at one time, within the time that the question has. A directory that fails is left alone for a while and the next one of
/// the slot is asked, as long as there is time.
/// </summary>
public sealed class DirectoryClient(NodeId self, PeerCredential credential, TimeProvider time) : IDirectoryClient, IDisposable
{
    /// <summary>Longest wait for one of many connections before a look at all of them.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromMilliseconds(5);

    private readonly ConcurrentDictionary<NodeId, DirectoryNode> _directories = new();
    private volatile SlotAssignment? _trimmedFor;
    private volatile bool _isDisposed;

    /// <summary>Directories that this node keeps connections to.</summary>
    internal int Known => _directories.Count;

    public bool Locate(SlotAssignment assignment, in DigestSecret secret, ReadOnlySpan<KeyDigest> digests, Span<BlockHolders> holders, BlockMap map, TimeSpan limit)
    {
        holders[..digests.Length].Clear();
        var answers = new ushort[digests.Length][];
        var isAnswered = Locate(assignment, secret, digests, asksForAll: false, answers, map, limit);
        for (var index = 0; index < digests.Length; index++)
        {
            foreach (var holder in answers[index] ?? [])
            {
                holders[index] = holders[index].With(holder);
            }
        }

        return isAnswered;
    }

    public bool LocateAll(SlotAssignment assignment, in DigestSecret secret, ReadOnlySpan<KeyDigest> digests, HolderLists holders, BlockMap map, TimeSpan limit)
    {
        ArgumentNullException.ThrowIfNull(holders);
        var answers = new ushort[digests.Length][];
        var isAnswered = Locate(assignment, secret, digests, asksForAll: true, answers, map, limit);
        for (var index = 0; index < digests.Length; index++)
        {
            holders.Set(index, answers[index]);
        }

        return isAnswered;
    }

    public void Dispose()
    {
        _isDisposed = true;
        foreach (var directory in _directories.Values)
        {
            directory.Dispose();
        }
    }

    /// <param name="answers">Receives the holders of digest i at i; what nobody answered stays null.</param>
    private bool Locate(
        SlotAssignment assignment, in DigestSecret secret, ReadOnlySpan<KeyDigest> digests, bool asksForAll, ushort[][] answers, BlockMap map, TimeSpan limit)
    {
        ArgumentNullException.ThrowIfNull(assignment);
        Trim(assignment);
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

            // One that is silent leaves half of the time for the next one.
            rest = attempt < SlotAssignment.DirectoriesPerSlot - 1 ? rest / 2 : rest;
            var round = Choose(assignment, digests, open, attempt);
            isAnswered |= AskAll(round, DigestKeyId.Of(secret), digests, asksForAll, answers, map, open, rest, time);
        }

        return isAnswered;
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
                .OrderBy(node => DirectoryOf(node).HasFailed)
                .ToList();
            if (attempt < directories.Count)
            {
                var node = directories[attempt];
                if (!round.TryGetValue(node.Id, out var question))
                {
                    round.Add(node.Id, question = new Question(DirectoryOf(node), []));
                }

                question.Indexes.Add(index);
            }
        }

        return [.. round.Values];
    }

    private DirectoryNode DirectoryOf(NodeRecord node)
    {
        if (_directories.TryGetValue(node.Id, out var known) && known.Address == node.NativeAddress)
        {
            return known;
        }

        var directory = new DirectoryNode(node, credential.GreetingFor(node), time);
        DirectoryNode? replaced = null;
        _directories.AddOrUpdate(node.Id, directory, (_, before) =>
        {
            replaced = before;
            return directory;
        });
        replaced?.Dispose();
        return directory;
    }

    /// <summary>Connections to nodes that left the cluster lead nowhere.</summary>
    private void Trim(SlotAssignment assignment)
    {
        if (ReferenceEquals(_trimmedFor, assignment))
        {
            return;
        }

        _trimmedFor = assignment;
        var nodes = assignment.Nodes.Select(node => node.Id).ToHashSet();
        foreach (var id in _directories.Keys.Where(id => !nodes.Contains(id)))
        {
            if (_directories.TryRemove(id, out var gone))
            {
                gone.Dispose();
            }
        }
    }

    /// <summary>Sends all questions, then takes the answers. What is answered leaves <paramref name="open"/>.</summary>
    private static bool AskAll(
        List<Question> round, ulong keyId, ReadOnlySpan<KeyDigest> digests, bool asksForAll, ushort[][] answers, BlockMap map, List<int> open, TimeSpan limit,
        TimeProvider time)
    {
        // When the time is over every connection that still waits for an answer is shut down, which ends the wait.
        using var timeout = new CancellationTokenSource(limit, time);
        var startedAt = Stopwatch.GetTimestamp();
        foreach (var question in round)
        {
            question.SetDigests(digests);
            Try(question, () => question.Connection = question.Directory.Take(limit - Stopwatch.GetElapsedTime(startedAt)));
        }

        SendAll(round, keyId, asksForAll, startedAt, limit, timeout.Token);
        var isAnswered = false;
        foreach (var question in round.Where(question => question.Connection is not null))
        {
            var sure = new List<int>();
            var found = new List<(int Index, ushort[] Holders)>();
            if (Try(question, () => question.Connection!.Receive(question.Indexes, map, found, sure)))
            {
                isAnswered = true;
                foreach (var (index, answer) in found)
                {
                    answers[index] = answer;
                }

                open.RemoveAll(sure.Contains);
                question.Watch.Dispose();
                question.Directory.Keep(question.Connection!);
            }
        }

        return isAnswered;
    }

    /// <summary>Sends each question when its connection is made. Those that are not made in time are kept for the next round.</summary>
    private static void SendAll(List<Question> round, ulong keyId, bool asksForAll, long startedAt, TimeSpan limit, CancellationToken cancellationToken)
    {
        var waiting = round.Where(question => question.Connection is not null).ToList();
        while (waiting.Count > 0)
        {
            waiting.RemoveAll(question => !Try(question, () => TrySend(question, keyId, asksForAll, cancellationToken)) || question.IsSent);
            var rest = limit - Stopwatch.GetElapsedTime(startedAt);
            if (waiting.Count == 0 || rest <= TimeSpan.Zero)
            {
                break;
            }

            SocketPoll.Wait(
                [.. waiting.Take(SocketPoll.MaxSockets).Select(question => question.Connection!.Socket)], rest < LongestWait ? rest : LongestWait);
        }

        foreach (var question in waiting)
        {
            question.Directory.KeepDialling(question.Connection!);
            question.Connection = null;
        }
    }

    private static void TrySend(Question question, ulong keyId, bool asksForAll, CancellationToken cancellationToken)
    {
        var connection = question.Connection!;
        if (connection.TryFinishConnect())
        {
            question.Watch = cancellationToken.UnsafeRegister(static asked => ((LocateConnection)asked!).Abort(), connection);
            question.IsSent = true;
            connection.Send(keyId, question.Digests, asksForAll);
        }
    }

    private static bool Try(Question question, Action step)
    {
        try
        {
            step();
            return true;
        }
        catch (Exception error) when (error is ChannelException or ObjectDisposedException)
        {
            // The next directory of the slot is as good.
            question.Watch.Dispose();
            question.Directory.Fail(question.Connection);
            question.Connection = null;
            return false;
        }
    }

    /// <summary>One directory and the places of the digests that it is asked about.</summary>
    private sealed class Question(DirectoryNode directory, List<int> indexes)
    {
        public DirectoryNode Directory => directory;

        public List<int> Indexes => indexes;

        public KeyDigest[] Digests { get; private set; } = [];

        public LocateConnection? Connection { get; set; }

        public bool IsSent { get; set; }

        public CancellationTokenRegistration Watch { get; set; }

        public void SetDigests(ReadOnlySpan<KeyDigest> digests)
        {
            Digests = new KeyDigest[indexes.Count];
            for (var index = 0; index < Digests.Length; index++)
            {
                Digests[index] = digests[indexes[index]];
            }
        }
    }
}
