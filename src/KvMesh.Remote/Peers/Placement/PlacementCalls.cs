using System.Collections.Concurrent;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Placement.Scheduler;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Placement;
using KvMesh.Protocol.Sockets;
using KvMesh.Remote.Peers.Feed;

namespace KvMesh.Remote.Peers.Placement;

/// <summary>
/// Talks to the native doors of other nodes for the scheduler: one question at a time on a connection, a few idle ones kept for each node. Whatever
/// goes wrong ends the connection, and the next question makes another one.
/// </summary>
public sealed class PlacementCalls(PeerCredential credential, IClusterViews views, TimeProvider time) : IPlacementCalls, IDisposable
{
    /// <summary>Connections to one node that are kept while nobody uses them.</summary>
    private const int MaxIdle = 2;

    private readonly ConcurrentDictionary<(NodeId Id, long Incarnation), ConcurrentBag<FeedConnection>> _idle = new();
    private ClusterView? _trimmedFor;
    private volatile bool _isDisposed;

    /// <summary>Runs of nodes that connections are kept to.</summary>
    internal int Known => _idle.Count;

    public ValueTask<NodeReport> ReportAsync(NodeRecord node, NodeReportRequest request, TimeSpan limit, CancellationToken cancellationToken) =>
        AskAsync(node, Verb.NodeReport, request.Write, static head => NodeReport.TryRead(head, out var answer) ? answer : null, limit, cancellationToken);

    public async ValueTask<OrderAnswer> GiveAsync(NodeRecord node, OrderGiveRequest request, TimeSpan limit, CancellationToken cancellationToken) =>
        (OrderAnswer)await AskAsync(node, Verb.OrderGive, request.Write, ReadOrderAnswer, limit, cancellationToken).ConfigureAwait(false);

    public async ValueTask<OrderAnswer> CancelAsync(NodeRecord node, OrderCancelRequest request, TimeSpan limit, CancellationToken cancellationToken) =>
        (OrderAnswer)await AskAsync(node, Verb.OrderCancel, request.Write, ReadOrderAnswer, limit, cancellationToken).ConfigureAwait(false);

    public async ValueTask<IReadOnlyList<OrderProgress>> ProgressAsync(
        NodeRecord node, OrderProgressRequest request, TimeSpan limit, CancellationToken cancellationToken) =>
        await AskAsync(node, Verb.OrderProgress, request.Write, static head => OrderProgress.TryReadAll(head, out var answer) ? answer : null, limit, cancellationToken)
            .ConfigureAwait(false);

    public ValueTask<ChainAnswer> ChainAsync(NodeRecord node, ChainRequest request, TimeSpan limit, CancellationToken cancellationToken) =>
        AskAsync(node, Verb.Chain, request.Write, static head => ChainAnswer.TryRead(head, out var answer) ? answer : null, limit, cancellationToken);

    public async ValueTask<HoldAnswer> HoldAsync(NodeRecord node, HoldRequest request, TimeSpan limit, CancellationToken cancellationToken) =>
        (HoldAnswer)await AskAsync(
            node, Verb.Hold, request.Write, static head => HoldAnswer.TryRead(head, out var answer) ? (object)answer : null, limit, cancellationToken).ConfigureAwait(false);

    public ValueTask<DrainAnswer> DrainAsync(NodeRecord node, DrainRequest request, TimeSpan limit, CancellationToken cancellationToken) =>
        AskAsync(node, Verb.Drain, request.Write, static head => DrainAnswer.TryRead(head, out var answer) ? answer : null, limit, cancellationToken);

    public ValueTask<LeavingRun> LeavingAsync(NodeRecord node, LeavingRequest request, TimeSpan limit, CancellationToken cancellationToken) =>
        AskAsync(node, Verb.Leaving, request.Write, static head => LeavingRun.TryRead(head, out var answer) ? answer : null, limit, cancellationToken);

    public async ValueTask<ReadOnlyMemory<byte>?> DeskAsync(NodeRecord node, DeskRequest request, TimeSpan limit, CancellationToken cancellationToken)
    {
        var answer = await UseAsync(
            node,
            limit,
            async (connection, bounded) => new DeskAnswer(
                await connection.AskForPayloadAsync(Verb.Desk, request.Write, PlacementLimits.MaxDeskBytes, bounded).ConfigureAwait(false)),
            cancellationToken).ConfigureAwait(false);
        return answer.Json;
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

    private static object? ReadOrderAnswer(ReadOnlySpan<byte> head) => OrderAnswer.TryRead(head, out var answer) ? answer : null;

    private ValueTask<T> AskAsync<T>(
        NodeRecord node, Verb verb, Action<FrameWriter> write, ReadHead<T> read, TimeSpan limit, CancellationToken cancellationToken)
        where T : class =>
        UseAsync(
            node,
            limit,
            async (connection, bounded) =>
            {
                var head = await connection.AskAsync(verb, write, bounded).ConfigureAwait(false);
                return read(head.Span) ?? throw new ChannelException($"The answer to {verb} has {head.Length} bytes that make no sense.");
            },
            cancellationToken);

    /// <summary>Connecting, greeting and asking have one limit together.</summary>
    private async ValueTask<T> UseAsync<T>(
        NodeRecord node, TimeSpan limit, Func<FeedConnection, CancellationToken, Task<T>> ask, CancellationToken cancellationToken)
        where T : class
    {
        using var timeout = new CancellationTokenSource(limit, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        var idle = _idle.GetOrAdd((node.Id, node.Incarnation), static _ => []);
        Trim();
        try
        {
            if (idle.TryTake(out var kept))
            {
                kept.Limit = limit;
            }

            if (kept is not null && await TryAskAsync(kept, idle, ask, both.Token).ConfigureAwait(false) is { } quick)
            {
                return quick;
            }

            var connection = await FeedConnection.ConnectAsync(node.NativeAddress, credential.GreetingFor(node), limit, time, both.Token).ConfigureAwait(false);
            return await AskAsync(connection, idle, ask, both.Token).ConfigureAwait(false);
        }
        catch (ChannelException exception)
        {
            throw new NodeSilentException($"{node.Id}: {exception.Message}", exception);
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new NodeSilentException($"{node.Id} did not answer within {limit.TotalSeconds:0.###} s.", exception);
        }
    }

    /// <summary>Asks over a connection that was idle; null: the node has closed it meanwhile.</summary>
    private async ValueTask<T?> TryAskAsync<T>(
        FeedConnection connection, ConcurrentBag<FeedConnection> idle, Func<FeedConnection, CancellationToken, Task<T>> ask, CancellationToken cancellationToken)
        where T : class
    {
        try
        {
            return await AskAsync(connection, idle, ask, cancellationToken).ConfigureAwait(false);
        }
        catch (ChannelException exception) when (exception.Fault != ChannelFault.Stalled)
        {
            return null;
        }
    }

    private async ValueTask<T> AskAsync<T>(
        FeedConnection connection, ConcurrentBag<FeedConnection> idle, Func<FeedConnection, CancellationToken, Task<T>> ask, CancellationToken cancellationToken)
        where T : class
    {
        var isWhole = false;
        try
        {
            var answer = await ask(connection, cancellationToken).ConfigureAwait(false);
            isWhole = true;
            return answer;
        }
        finally
        {
            if (isWhole && !_isDisposed && idle.Count < MaxIdle)
            {
                idle.Add(connection);
            }
            else
            {
                connection.Dispose();
            }
        }
    }

    /// <summary>Connections to runs of nodes that are in the view no more lead nowhere.</summary>
    private void Trim()
    {
        var view = views.Current;
        if (ReferenceEquals(Interlocked.Exchange(ref _trimmedFor, view), view))
        {
            return;
        }

        foreach (var key in _idle.Keys.Where(key => view.Find(key.Id)?.Incarnation != key.Incarnation))
        {
            if (_idle.TryRemove(key, out var old))
            {
                while (old.TryTake(out var connection))
                {
                    connection.Dispose();
                }
            }
        }
    }

    private delegate T? ReadHead<out T>(ReadOnlySpan<byte> head)
        where T : class;

    private sealed record DeskAnswer(ReadOnlyMemory<byte>? Json);
}
