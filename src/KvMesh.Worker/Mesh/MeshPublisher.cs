using System.Buffers;
using System.Threading.Channels;
using KvMesh.Client;
using KvMesh.Client.Progressive;
using KvMesh.Worker.Serving;
using Microsoft.Extensions.Logging;

namespace KvMesh.Worker.Mesh;

/// <summary>
/// Publishes blocks by section behind the back of who computes them. Each shard has a connection and a queue of its own and writes the parts of its heads. What is
/// on its way is bounded: beyond it, and while the node is full or away, the rest of a sequence is dropped and counted.
/// </summary>
internal sealed partial class MeshPublisher : IBlockSink, IAsyncDisposable
{
    /// <summary>Layers of sequences that wait at most, for each shard.</summary>
    private const int QueuedLayers = 4096;

    private readonly BlockParts _parts;
    private readonly MeshCounters _counters;
    private readonly ILogger _logger;
    private readonly long _maxBytes;
    private readonly Shard[] _shards;
    private long _queuedBytes;

    // Sequences of which the rest was dropped.
    private int _broken;

    /// <param name="parts">How blocks are cut.</param>
    /// <param name="links">The node, once for each shard.</param>
    /// <param name="maxBytes">Most bytes on their way.</param>
    /// <param name="counters">Where it counts.</param>
    /// <param name="logger">Where it tells of what must not happen.</param>
    public MeshPublisher(BlockParts parts, IReadOnlyList<MeshLink> links, long maxBytes, MeshCounters counters, ILogger<MeshPublisher> logger)
    {
        if (parts.Count % links.Count != 0)
        {
            throw new ArgumentException($"Shards is {links.Count}; it must divide the {parts.Count} parts of a block.");
        }

        (_parts, _maxBytes, _counters, _logger) = (parts, maxBytes, counters, logger);
        var share = parts.Count / links.Count;
        _shards = [.. links.Select((link, index) => new Shard(this, link, index * share, share))];
    }

    /// <summary>Whether the node was reached: else nothing is published, nor counted as dropped.</summary>
    public bool IsReady => Array.TrueForAll(_shards, shard => shard.Link.Client is not null);

    public IChainSink? Begin(TokenChain chain) => IsReady ? new ChainSink(this, chain) : null;

    /// <summary>Returns when everything that was queued before was published or dropped.</summary>
    public async Task FlushAsync(CancellationToken cancellationToken)
    {
        foreach (var shard in _shards)
        {
            var fence = new Layer { Fence = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously) };
            await shard.Queue.Writer.WriteAsync(fence, cancellationToken).ConfigureAwait(false);
            await fence.Fence.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var shard in _shards)
        {
            await shard.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>A layer of consecutive blocks of a sequence, the parts of one shard; or a fence; or with no bytes the end of what is unfinished.</summary>
    private sealed class Layer
    {
        public TaskCompletionSource? Fence { get; init; }

        public ChainSink? Chain { get; init; }

        public int FirstBlock { get; init; }

        public int Count { get; init; }

        public int Index { get; init; }

        public byte[] Bytes { get; init; } = [];

        public int Length { get; init; }
    }

    private sealed class ChainSink(MeshPublisher publisher, TokenChain chain) : IChainSink
    {
        private volatile bool _isBroken;

        public TokenChain Chain => chain;

        /// <summary>Nothing more of the sequence is published: a child without its parent is of no use.</summary>
        public bool IsBroken => _isBroken;

        public void Publish(SequencePages pages, int firstBlock, int count, int layer)
        {
            foreach (var shard in publisher._shards)
            {
                if (!_isBroken && !publisher.TryQueue(shard, this, pages, firstBlock, count, layer))
                {
                    Break(count);
                }
            }
        }

        public void Abandon()
        {
            foreach (var shard in publisher._shards)
            {
                if (!shard.Queue.Writer.TryWrite(new Layer { Chain = this }))
                {
                    Break(0);
                }
            }
        }

        public void Break(int dropped)
        {
            _isBroken = true;
            Interlocked.Increment(ref publisher._broken);
            publisher._counters.Add(figures => figures with { DroppedBlocks = figures.DroppedBlocks + dropped });
        }
    }

    private bool TryQueue(Shard shard, ChainSink chain, SequencePages pages, int firstBlock, int count, int layer)
    {
        var section = _parts.SectionBytes;
        var length = checked(count * shard.PartCount * section);
        if (Interlocked.Add(ref _queuedBytes, length) > _maxBytes)
        {
            Interlocked.Add(ref _queuedBytes, -length);
            return false;
        }

        var bytes = ArrayPool<byte>.Shared.Rent(length);
        for (var index = 0; index < count * shard.PartCount; index++)
        {
            _parts.CopyOut(pages.Block(firstBlock + (index / shard.PartCount)), shard.FirstPart + (index % shard.PartCount), layer, bytes.AsSpan(index * section, section));
        }

        var isQueued = shard.Queue.Writer.TryWrite(new Layer { Chain = chain, FirstBlock = firstBlock, Count = count, Index = layer, Bytes = bytes, Length = length });
        if (!isQueued)
        {
            Release(bytes, length);
        }

        return isQueued;
    }

    private void Release(byte[] bytes, int length)
    {
        if (length > 0)
        {
            ArrayPool<byte>.Shared.Return(bytes);
            Interlocked.Add(ref _queuedBytes, -length);
        }
    }

    private sealed class Shard : IAsyncDisposable
    {
        private readonly MeshPublisher _publisher;
        private readonly CancellationTokenSource _stopping = new();
        private readonly Task _worker;

        // Writes that are not over, by sequence, block and part.
        private readonly Dictionary<(ChainSink Chain, int Block, int Part), SectionWriter> _writers = [];
        private int _brokenSeen;

        public Shard(MeshPublisher publisher, MeshLink link, int firstPart, int partCount)
        {
            (_publisher, Link, FirstPart, PartCount) = (publisher, link, firstPart, partCount);
            Queue = Channel.CreateBounded<Layer>(new BoundedChannelOptions(QueuedLayers) { SingleReader = true });
            _worker = Task.Run(WorkAsync);
        }

        public MeshLink Link { get; }

        public int FirstPart { get; }

        public int PartCount { get; }

        public Channel<Layer> Queue { get; }

        public async ValueTask DisposeAsync()
        {
            Queue.Writer.TryComplete();
            await _stopping.CancelAsync().ConfigureAwait(false);
            await _worker.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            _stopping.Dispose();
        }

        private async Task WorkAsync()
        {
            await foreach (var layer in Queue.Reader.ReadAllAsync(CancellationToken.None).ConfigureAwait(false))
            {
                if (layer.Chain is { } chain)
                {
                    try
                    {
                        await TakeAsync(layer, chain).ConfigureAwait(false);
                    }
#pragma warning disable CA1031 // The root of the loop: what goes wrong with one sequence must not end publishing.
                    catch (Exception error)
#pragma warning restore CA1031
                    {
                        _publisher.LogFailed(error);
                        chain.Break(layer.Count);
                    }
                    finally
                    {
                        _publisher.Release(layer.Bytes, layer.Length);
                    }
                }

                layer.Fence?.TrySetResult();
            }
        }

        private async Task TakeAsync(Layer layer, ChainSink chain)
        {
            if (_brokenSeen != Volatile.Read(ref _publisher._broken))
            {
                _brokenSeen = Volatile.Read(ref _publisher._broken);
                await AbandonAsync(other => other.IsBroken).ConfigureAwait(false);
            }

            if (chain.IsBroken || layer.Count == 0 || _stopping.IsCancellationRequested)
            {
                await AbandonAsync(other => other == chain).ConfigureAwait(false);
                return;
            }

            var writes = Enumerable.Range(0, layer.Count * PartCount).Select(index => PublishAsync(layer, chain, index)).ToArray();
            var stored = await Task.WhenAll(writes).ConfigureAwait(false);
            if (!Array.TrueForAll(stored, isStored => isStored))
            {
                chain.Break(layer.Count);
                await AbandonAsync(other => other == chain).ConfigureAwait(false);
            }
            else if (layer.Index == _publisher._parts.Layers - 1 && FirstPart == 0)
            {
                _publisher._counters.Add(figures => figures with { PublishedBlocks = figures.PublishedBlocks + layer.Count });
            }
        }

        /// <summary>Publishes one section. True also where somebody else has sealed the block.</summary>
        private async Task<bool> PublishAsync(Layer layer, ChainSink chain, int index)
        {
            var (block, part) = (layer.FirstBlock + (index / PartCount), FirstPart + (index % PartCount));
            var (parts, key) = (_publisher._parts, (chain, block, part));
            try
            {
                if (layer.Index == 0)
                {
                    var begun = await Link.Client!.BeginSectionsAsync(
                        parts.Scope(part), chain.Chain.HashBytes(block), chain.Chain.ParentOf(block), parts.PartBytes, parts.SectionBytes, _stopping.Token).ConfigureAwait(false);
                    lock (_writers)
                    {
                        _writers[key] = begun;
                    }
                }

                SectionWriter? writer;
                lock (_writers)
                {
                    writer = _writers.GetValueOrDefault(key);
                }

                if (writer is null)
                {
                    return false;
                }

                var status = await writer.PublishAsync(layer.Bytes.AsMemory(index * parts.SectionBytes, parts.SectionBytes), _stopping.Token).ConfigureAwait(false);
                if (layer.Index == parts.Layers - 1)
                {
                    lock (_writers)
                    {
                        _writers.Remove(key);
                    }
                }

                return status is PutStatus.Stored or PutStatus.AlreadyPresent;
            }
            catch (OperationCanceledException)
            {
                return false;
            }
            catch (ObjectDisposedException)
            {
                return false;
            }
        }

        /// <summary>Ends what is unfinished of some sequences. Nothing is being published meanwhile.</summary>
        private async Task AbandonAsync(Predicate<ChainSink> which)
        {
            foreach (var key in _writers.Keys.Where(key => which(key.Chain)).ToArray())
            {
                _writers.Remove(key, out var writer);
                await writer!.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    [LoggerMessage(6001, LogLevel.Error, "Publishing the blocks of a sequence failed; the rest of it is dropped.")]
    private partial void LogFailed(Exception exception);
}
