using System.Text;
using System.Text.Json;
using KvMesh.Protocol.Admin;

namespace KvMesh.Client.Admin;

/// <summary>Takes the updates out of a stream of server-sent events. Events of other names are passed over.</summary>
internal sealed class LiveEventReader(Stream stream) : IDisposable
{
    /// <summary>More than any update of a node: a few kilobytes and some for each tier, arena and endpoint.</summary>
    private const int MaxEventCharacters = 1 << 20;

    private readonly StreamReader _lines = new(stream, Encoding.UTF8, detectEncodingFromByteOrderMarks: false, bufferSize: 16 * 1024, leaveOpen: true);
    private readonly StringBuilder _data = new();

    /// <summary>The next update, or null at the end of the stream.</summary>
    public async ValueTask<LiveUpdate?> ReadAsync(CancellationToken cancellationToken)
    {
        var isUpdate = true;
        _data.Clear();
        while (await _lines.ReadLineAsync(cancellationToken).ConfigureAwait(false) is { } line)
        {
            if (line.Length == 0)
            {
                if (isUpdate && _data.Length > 0)
                {
                    return Parse();
                }

                isUpdate = true;
                _data.Clear();
            }
            else if (line.StartsWith("event:", StringComparison.Ordinal))
            {
                isUpdate = line.AsSpan(6).Trim() is "update";
            }
            else if (line.StartsWith("data:", StringComparison.Ordinal))
            {
                Append(line.AsSpan(5));
            }
        }

        return null;
    }

    public void Dispose() => _lines.Dispose();

    private void Append(ReadOnlySpan<char> data)
    {
        if (_data.Length + data.Length > MaxEventCharacters)
        {
            throw new IOException($"An event of the node is longer than {MaxEventCharacters} characters.");
        }

        _data.Append(data.StartsWith(" ") ? data[1..] : data);
    }

    private LiveUpdate? Parse()
    {
        try
        {
            return JsonSerializer.Deserialize(_data.ToString(), AdminJson.Default.LiveUpdate);
        }
        catch (JsonException exception)
        {
            throw new IOException("An event of the node is not the JSON of an update.", exception);
        }
    }
}
