using System.Collections.Immutable;
using System.Threading.Channels;

namespace KvMesh.Cluster.Sequences;

/// <summary>Hands news to whoever listens. A listener that is slow loses the oldest, and can tell from the gaps in versions.</summary>
public sealed class SequenceEventFeed
{
    private const int MaxWaiting = 4096;

    private ImmutableArray<Channel<SequenceEvent>> _listeners = [];

    /// <summary>Begins to listen. Disposing it ends.</summary>
    public SequenceEventListener Listen()
    {
        var channel = Channel.CreateBounded<SequenceEvent>(
            new BoundedChannelOptions(MaxWaiting) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
        ImmutableInterlocked.Update(ref _listeners, static (all, added) => all.Add(added), channel);
        return new SequenceEventListener(channel.Reader, () => ImmutableInterlocked.Update(ref _listeners, static (all, gone) => all.Remove(gone), channel));
    }

    internal void Publish(in SequenceEvent news)
    {
        foreach (var listener in _listeners)
        {
            listener.Writer.TryWrite(news);
        }
    }
}

/// <summary>One listener of sequence events.</summary>
public sealed class SequenceEventListener(ChannelReader<SequenceEvent> reader, Action end) : IDisposable
{
    public ChannelReader<SequenceEvent> Reader => reader;

    public void Dispose() => end();
}
