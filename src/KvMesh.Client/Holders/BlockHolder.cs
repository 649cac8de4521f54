using System.Buffers;
using KvMesh.Client.Connections;
using KvMesh.Client.Operations;
using KvMesh.Protocol;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Client.Holders;

/// <summary>
/// Tells a node which blocks this process keeps in memory of its own, and hands them over when the node asks. It has two connections of its own; when the node is lost it
/// connects again and announces what it still has. Every member may be called from any thread.
/// </summary>
public sealed class BlockHolder : IAsyncDisposable
{
    /// <summary>Keys of one announcement.</summary>
    private const int KeysPerRequest = 1024;

    /// <summary>Longest wait of one request to be asked; the node answers sooner when there is something.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(2);

    private readonly ConnectionPool _pool;
    private readonly ClientOptions _client;
    private readonly BlockHolderOptions _options;
    private readonly HeldBlockTable _table = new();
    private readonly SemaphoreSlim _turn = new(1);
    private readonly SemaphoreSlim _handOvers;
    private readonly SemaphoreSlim _wanted = new(0);
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _running;
    private HolderLink? _link;
    private ulong _removals;
    private long _incarnation;
    private long _handedOver;
    private bool _wasTried;
    private string _refusal = "";
    private volatile Exception? _lastFailure;

    internal BlockHolder(ConnectionPool pool, ClientOptions client, BlockHolderOptions options)
    {
        options.Check();
        _pool = pool;
        _client = client;
        _options = options;
        _handOvers = new SemaphoreSlim(options.HandOvers);
        _running = Task.Run(RunAsync);
    }

    /// <summary>Blocks that are announced, or will be when the node is there again.</summary>
    public int Blocks => _table.Count;

    /// <summary>Blocks that the node took.</summary>
    public long HandedOver => Interlocked.Read(ref _handedOver);

    /// <summary>Why the node refused an announcement last, also one that it had taken before it was lost; empty: it did not.</summary>
    public string LastRefusal => Volatile.Read(ref _refusal);

    /// <summary>What <see cref="BlockHolderOptions.Fill"/> threw last; null: nothing.</summary>
    public Exception? LastFailure => _lastFailure;

    /// <summary>Whether the node knows of the blocks now.</summary>
    public bool IsConnected => Volatile.Read(ref _link) is { IsAlive: true };

    /// <summary>Announces consecutive blocks of a chain, which must be exact: what was read with losses is not. All or none.</summary>
    /// <param name="hashes">Chain hashes in order, 32 bytes each.</param>
    /// <param name="parentHash">Hash of the block before the first of them; empty when that is the first of its chain.</param>
    /// <param name="blockBytes">Payload bytes of each.</param>
    public async ValueTask<AnnounceResult> AnnounceAsync(
        BlockScope scope, ReadOnlyMemory<byte> hashes, ReadOnlyMemory<byte> parentHash, int blockBytes, CancellationToken cancellationToken)
    {
        KeySelection.Many(scope, hashes);
        BlockClient.CheckParent(parentHash);
        ArgumentOutOfRangeException.ThrowIfLessThan(blockBytes, 1);
        await _turn.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            ObjectDisposedException.ThrowIf(_stopping.IsCancellationRequested, this);
            var added = _table.Add(scope, hashes, parentHash, blockBytes);
            if (added.Count == 0)
            {
                return new AnnounceResult(IsConnected ? AnnounceStatus.Announced : AnnounceStatus.Pending);
            }

            var result = await AnnounceAddedAsync(added, cancellationToken).ConfigureAwait(false);
            if (result.Status == AnnounceStatus.Refused)
            {
                added.ForEach(block => _table.Remove(block));
            }

            return result;
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Takes announcements back, before the memory of the blocks is used for others. A block that is being handed over meanwhile is the filler's to refuse.</summary>
    public async ValueTask WithdrawAsync(BlockScope scope, ReadOnlyMemory<byte> hashes, CancellationToken cancellationToken)
    {
        KeySelection.Many(scope, hashes);
        await _turn.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            _table.Remove(scope, hashes);
            for (var start = 0; _link is { IsAlive: true } link && start < hashes.Length; start += KeysPerRequest * Limits.ChainHashBytes)
            {
                var some = hashes.Slice(start, Math.Min(KeysPerRequest * Limits.ChainHashBytes, hashes.Length - start));
                await link.Announcing.ExecuteAsync(new HolderWithdrawOperation(KeySelection.Many(scope, some)), CancellationToken.None).ConfigureAwait(false);
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Ends the connections, and with them every announcement. Waits until the filler is not called any more.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_stopping.IsCancellationRequested)
        {
            return;
        }

        await _stopping.CancelAsync().ConfigureAwait(false);
        await _running.ConfigureAwait(false);
        await _turn.WaitAsync().ConfigureAwait(false);
        if (_link is { } link)
        {
            await link.DisposeAsync().ConfigureAwait(false);
        }

        _turn.Release();
        _stopping.Dispose();
        _handOvers.Dispose();
        _wanted.Dispose();
    }

    /// <summary>One life of the link after the other, until it is disposed.</summary>
    private async Task RunAsync()
    {
        var pause = FirstPause;
        try
        {
            while (true)
            {
                while (_table.Count == 0)
                {
                    await _wanted.WaitAsync(_stopping.Token).ConfigureAwait(false);
                }

                if (await ConnectAsync().ConfigureAwait(false) is { } link)
                {
                    pause = FirstPause;
                    await ServeAsync(link).ConfigureAwait(false);
                }

                await Task.Delay(pause, _client.Time, _stopping.Token).ConfigureAwait(false);
                pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
            }
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            // Disposed: nothing is announced any more.
        }
    }

    /// <summary>Connects and announces everything that there is. Null: the node is not there, or there is nothing to announce.</summary>
    private async Task<HolderLink?> ConnectAsync()
    {
        await _turn.WaitAsync(_stopping.Token).ConfigureAwait(false);
        try
        {
            return _link = _link is { IsAlive: true } link ? link : await DialAndAnnounceAsync(_stopping.Token).ConfigureAwait(false);
        }
        finally
        {
            _turn.Release();
        }
    }

    private async Task<HolderLink?> DialAndAnnounceAsync(CancellationToken cancellationToken)
    {
        var announcing = await _pool.DialForWatchAsync(cancellationToken).ConfigureAwait(false);
        var waiting = announcing is null ? null : await _pool.DialForWatchAsync(cancellationToken).ConfigureAwait(false);
        var link = announcing is null || waiting is null ? null : new HolderLink(announcing, waiting);
        try
        {
            if (link is not null)
            {
                if (_incarnation != 0 && _incarnation != announcing!.Hello.Incarnation)
                {
                    // What was removed between two runs of the node, nobody can say.
                    ForgetAll();
                }

                _incarnation = announcing!.Hello.Incarnation;
                if (await SendAllAsync(link).ConfigureAwait(false))
                {
                    (announcing, waiting) = (null, null);
                    return link;
                }
            }

            return null;
        }
        finally
        {
            await DisposeAsync(announcing).ConfigureAwait(false);
            await DisposeAsync(waiting).ConfigureAwait(false);
        }
    }

    /// <summary>Announces the whole table on a new link. False: the link is lost, or nothing is left to announce.</summary>
    private async Task<bool> SendAllAsync(HolderLink link)
    {
        var known = _removals;
        foreach (var run in _table.Runs(KeysPerRequest))
        {
            var announce = new HolderAnnounceOperation(run.Keys, known, run.Lengths);
            await link.Announcing.ExecuteAsync(announce, CancellationToken.None).ConfigureAwait(false);
            if (announce.Outcome == OperationOutcome.Refused)
            {
                // The node takes fewer than it took before: these are not announced, and stay the caller's.
                _refusal = announce.Refusal;
                run.Blocks.ForEach(block => _table.Remove(block));
            }
            else if (announce.Outcome != OperationOutcome.Done)
            {
                return false;
            }
            else if (announce.IsBehind)
            {
                ForgetAll();
                _removals = announce.Response.Removals;
                return false;
            }
            else
            {
                link.Holding = announce.Response.Holding;
                known = _removals = announce.Response.Removals;
            }
        }

        return link.Holding != 0;
    }

    /// <summary>Announces new blocks on the link that there is; without one the loop does it.</summary>
    private async Task<AnnounceResult> AnnounceAddedAsync(List<HeldBlock> added, CancellationToken cancellationToken)
    {
        if (_link is not { IsAlive: true } link)
        {
            // The first announcement opens the link itself, so that its caller hears what the node says; later ones do not wait for a node that is lost.
            _wanted.Release();
            if (!_wasTried)
            {
                _wasTried = true;
                _link = await DialAndAnnounceAsync(cancellationToken).ConfigureAwait(false);
            }

            return added.Exists(block => !_table.Contains(block)) ? new AnnounceResult(AnnounceStatus.Refused, _refusal)
                : new AnnounceResult(IsConnected ? AnnounceStatus.Announced : AnnounceStatus.Pending);
        }

        foreach (var run in HeldBlockTable.Runs(added, KeysPerRequest))
        {
            var announce = new HolderAnnounceOperation(run.Keys, 0, run.Lengths);
            await link.Announcing.ExecuteAsync(announce, CancellationToken.None).ConfigureAwait(false);
            if (announce.Outcome == OperationOutcome.Refused)
            {
                _refusal = announce.Refusal;
                return new AnnounceResult(AnnounceStatus.Refused, announce.Refusal);
            }

            if (announce.Outcome != OperationOutcome.Done || announce.IsBehind)
            {
                return new AnnounceResult(AnnounceStatus.Pending);
            }
        }

        return new AnnounceResult(AnnounceStatus.Announced);
    }

    /// <summary>Waits to be asked, and answers, as long as the link lives.</summary>
    private async Task ServeAsync(HolderLink link)
    {
        var wait = _client.RequestTimeout / 2 < LongestWait ? _client.RequestTimeout / 2 : LongestWait;
        var running = new List<Task>();
        try
        {
            while (true)
            {
                var asks = new HolderAsksOperation(new HolderAsksRequest(link.Holding, (uint)_options.HandOvers, (uint)wait.TotalMilliseconds));
                await link.Waiting.ExecuteAsync(asks, _stopping.Token).ConfigureAwait(false);
                if (asks.Outcome != OperationOutcome.Done || asks.IsGone || !link.IsAlive)
                {
                    return;
                }

                running.RemoveAll(static task => task.IsCompleted);
                foreach (var ask in asks.Asks)
                {
                    if (ask.Kind == HolderAskKind.Give)
                    {
                        await _handOvers.WaitAsync(_stopping.Token).ConfigureAwait(false);
                        running.Add(Task.Run(() => AnswerAsync(link, ask)));
                    }
                    else
                    {
                        Forget(ask);
                    }
                }

                // Only now: what was told before the number has been carried out.
                _removals = asks.Removals;
            }
        }
        finally
        {
            await link.DisposeAsync().ConfigureAwait(false);
            await Task.WhenAll(running).ConfigureAwait(false);
        }
    }

    private async Task AnswerAsync(HolderLink link, HolderAsk ask)
    {
        var room = ArrayPool<byte>.Shared.Rent((int)Math.Min(ask.PayloadBytes, Limits.MaxBlockBytes));
        try
        {
            var block = _table.Find(ask.Key);
            if (block is null || block.Bytes != ask.PayloadBytes || !await TryFillAsync(block, room.AsMemory(0, block.Bytes), link.Lost).ConfigureAwait(false))
            {
                if (block is not null)
                {
                    _table.Remove(block);
                }

                await link.Announcing.ExecuteAsync(new HolderDeclineOperation(ask.Number), CancellationToken.None).ConfigureAwait(false);
                return;
            }

            var put = new PutOperation(KeySelection.One(block.Scope, block.Hash), block.ParentHash, room.AsMemory(0, block.Bytes), ask.Number);
            await link.Announcing.ExecuteAsync(put, CancellationToken.None).ConfigureAwait(false);
            Interlocked.Add(ref _handedOver, put.Status == PutStatus.Stored ? 1 : 0);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(room);
            _handOvers.Release();
        }
    }

    /// <summary>A filler that fails has no block to give: what it throws is kept for its owner, and is the reader's miss.</summary>
    private async Task<bool> TryFillAsync(HeldBlock block, Memory<byte> destination, CancellationToken cancellationToken)
    {
        try
        {
            return await _options.Fill(block, destination, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            _lastFailure = exception;
            return false;
        }
    }

    private void Forget(HolderAsk ask)
    {
        if (ask.Kind == HolderAskKind.ForgetAll)
        {
            ForgetAll();
        }
        else if (ask.Kind == HolderAskKind.Forget)
        {
            if (_table.Find(ask.Key) is { } block)
            {
                Drop(block);
            }
        }
        else if (HolderScope.TryRead(ask.Key.Span, out var scope))
        {
            _table.All().Where(block => scope.Names(block.Scope.Model, block.Scope.Revision)).ToList().ForEach(Drop);
        }
    }

    private void ForgetAll() => _table.All().ForEach(Drop);

    private void Drop(HeldBlock block)
    {
        if (_table.Remove(block))
        {
            _options.Forgotten?.Invoke(block);
        }
    }

    private static async ValueTask DisposeAsync(NodeConnection? connection)
    {
        if (connection is not null)
        {
            await connection.DisposeAsync().ConfigureAwait(false);
        }
    }
}
