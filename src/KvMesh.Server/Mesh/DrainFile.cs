using System.Text.Json;
using System.Text.Json.Serialization;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Placement.Nodes;
using KvMesh.Cluster.Storage;
using Microsoft.Extensions.Logging;

namespace KvMesh.Server.Mesh;

/// <summary>
/// Remembers in <c>drain.json</c> of the data directory that an operator asked for this node to be drained. The file is there only while that is so; one of
/// another node or another cluster, as in a copied directory, says nothing.
/// </summary>
internal sealed partial class DrainFile(string directory, string cluster, NodeId node, ILogger logger) : IDrainMemory
{
    private readonly StateFile<Content> _file = new(directory, "drain.json", DrainJson.Default.Content);

    public DateTimeOffset? Load()
    {
        try
        {
            return _file.Read() is { } content && content.Cluster == cluster && content.Node == node.Value
                ? DateTimeOffset.FromUnixTimeMilliseconds(content.SinceMilliseconds)
                : null;
        }
        catch (Exception exception) when (exception is JsonException or ArgumentOutOfRangeException)
        {
            // It would not be there if nobody had asked for it: a node that takes no blocks is seen and taken back.
            LogUnreadable(_file.Path, exception.Message);
            return File.GetLastWriteTimeUtc(_file.Path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            LogUnreadable(_file.Path, exception.Message);
            return null;
        }
    }

    public bool Save(DateTimeOffset? since)
    {
        try
        {
            if (since is { } at)
            {
                _file.Write(new Content { Cluster = cluster, Node = node.Value, SinceMilliseconds = at.ToUnixTimeMilliseconds() });
            }
            else
            {
                _file.Delete();
            }

            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            LogUnwritable(_file.Path, exception.Message);
            return false;
        }
    }

    [LoggerMessage(6111, LogLevel.Warning, "{Path} cannot be read: {Reason}")]
    private partial void LogUnreadable(string path, string reason);

    [LoggerMessage(6112, LogLevel.Error, "{Path} cannot be changed: after a restart this node does not know whether it is to be drained. {Reason}")]
    private partial void LogUnwritable(string path, string reason);

    internal sealed class Content
    {
        public string Cluster { get; set; } = "";

        public string Node { get; set; } = "";

        public long SinceMilliseconds { get; set; }
    }
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(DrainFile.Content))]
internal sealed partial class DrainJson : JsonSerializerContext;
