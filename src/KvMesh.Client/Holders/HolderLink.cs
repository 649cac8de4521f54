using KvMesh.Client.Connections;

namespace KvMesh.Client.Holders;

/// <summary>The two connections of a holder. Either one lost, both are of no use.</summary>
internal sealed class HolderLink(NodeConnection announcing, NodeConnection waiting) : IAsyncDisposable
{
    private readonly CancellationTokenSource _lost = new();
    private int _isDisposed;

    /// <summary>Announces, withdraws, hands over and declines. What it announced ends with it.</summary>
    public NodeConnection Announcing => announcing;

    /// <summary>Waits to be asked.</summary>
    public NodeConnection Waiting => waiting;

    /// <summary>What the node calls this holder; 0 before the first announcement.</summary>
    public ulong Holding { get; set; }

    public bool IsAlive => !_lost.IsCancellationRequested && announcing.IsAlive && waiting.IsAlive;

    /// <summary>Cancelled when the link ends.</summary>
    public CancellationToken Lost => _lost.Token;

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0)
        {
            return;
        }

        await _lost.CancelAsync().ConfigureAwait(false);
        await announcing.DisposeAsync().ConfigureAwait(false);
        await waiting.DisposeAsync().ConfigureAwait(false);
    }
}
