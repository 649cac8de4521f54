using KvMesh.Protocol.Admin;

namespace KvMesh.Dashboard.Feed;

/// <summary>The last seconds of a node, oldest first, each once.</summary>
internal sealed class HistoryWindow(int seconds)
{
    private readonly Queue<HistorySample> _samples = new(seconds);
    private long _newest = long.MinValue;

    public void Replace(IEnumerable<HistorySample> samples)
    {
        _samples.Clear();
        _newest = long.MinValue;
        foreach (var sample in samples)
        {
            Add(sample);
        }
    }

    /// <summary>Takes a sample that is newer than all here. A clock that was set back starts the window again.</summary>
    public void Add(HistorySample sample)
    {
        if (sample.At == _newest)
        {
            return;
        }

        if (sample.At < _newest)
        {
            _samples.Clear();
        }

        _newest = sample.At;
        _samples.Enqueue(sample);
        while (_samples.Count > 0 && _samples.Peek().At <= _newest - (seconds * 1000L))
        {
            _samples.Dequeue();
        }
    }

    public IReadOnlyList<HistorySample> ToList() => [.. _samples];
}
