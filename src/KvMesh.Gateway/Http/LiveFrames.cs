using System.Text.Json;
using KvMesh.Protocol.Admin;

namespace KvMesh.Gateway.Http;

/// <summary>The bytes of a live update: collected and serialised once for all who watch, and only when somebody does.</summary>
internal sealed class LiveFrames(NodeView node)
{
    private readonly Lock _lock = new();
    private HistorySample? _sample;
    private byte[] _frame = [];

    /// <summary>The event of that sample. Whoever asks for the sample of others gets the status that they got.</summary>
    public ReadOnlyMemory<byte> FrameOf(HistorySample? sample)
    {
        lock (_lock)
        {
            if (sample is null || !ReferenceEquals(sample, _sample))
            {
                var json = JsonSerializer.SerializeToUtf8Bytes(new LiveUpdate(StatusViews.Status(node), sample), AdminJson.Default.LiveUpdate);
                (_sample, _frame) = (sample, [.. "event: update\ndata: "u8, .. json, .. "\n\n"u8]);
            }

            return _frame;
        }
    }
}
