using System.Text.Json;
using System.Text.Json.Serialization;
using KvMesh.Cluster.Removals;
using KvMesh.Cluster.Storage;
using Microsoft.Extensions.Logging;

namespace KvMesh.Server.Mesh;

/// <summary>
/// What a node must know of removals after a restart, in <c>removals.json</c> of the data directory, one for the cluster that it is in. It is written
/// as a whole and synced; a crash or a loss of power leaves the one before, after which some removals are carried out twice.
/// </summary>
internal sealed partial class RemovalFile(string directory, string cluster, ILogger logger) : IRemovalMemory
{
    private readonly StateFile<Content> _file = new(directory, "removals.json", RemovalJson.Default.Content);
    private bool _hasFailed;

    public RemovalState? Load()
    {
        try
        {
            var content = _file.Read();
            return content?.Cluster == cluster ? content.ToState() : null;
        }
        catch (Exception exception) when (exception is JsonException or IOException or UnauthorizedAccessException)
        {
            LogUnreadable(_file.Path, exception.Message);
            return RemovalState.Lost;
        }
    }

    public void Save(RemovalState state)
    {
        try
        {
            _file.Write(Content.Of(state, cluster));
            _hasFailed = false;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            if (!_hasFailed)
            {
                LogUnwritable(_file.Path, exception.Message);
            }

            _hasFailed = true;
        }
    }

    [LoggerMessage(6101, LogLevel.Warning, "{Path} cannot be read: {Reason}")]
    private partial void LogUnreadable(string path, string reason);

    [LoggerMessage(6102, LogLevel.Error, "{Path} cannot be written: after a restart this node does not know which removals it has carried out. {Reason}")]
    private partial void LogUnwritable(string path, string reason);

    internal sealed class Content
    {
        public string Cluster { get; set; } = "";

        public string Lineage { get; set; } = "";

        public string Edition { get; set; } = "";

        public long Mark { get; set; }

        public long Missing { get; set; }

        public long PurgeFloor { get; set; }

        /// <summary>Scope to number.</summary>
        public Dictionary<string, long> Purges { get; set; } = [];

        public string[] UntoldPurges { get; set; } = [];

        /// <summary>Tenant and key by turns, the key in base64.</summary>
        public string[] UntoldKeys { get; set; } = [];

        public static Content Of(RemovalState state, string cluster) => new()
        {
            Cluster = cluster,
            Lineage = state.Lineage,
            Edition = state.Edition,
            Mark = state.Mark,
            Missing = state.Missing,
            PurgeFloor = state.PurgeFloor,
            Purges = state.Purges.ToDictionary(purge => purge.Scope.ToText(), purge => purge.Number),
            UntoldPurges = [.. state.UntoldPurges.Select(scope => scope.ToText())],
            UntoldKeys = [.. state.UntoldKeys.SelectMany(key => new[] { key.Tenant, Convert.ToBase64String(key.Key.Span) })],
        };

        public RemovalState ToState() => new(
            Lineage, Edition, Mark, Missing, PurgeFloor,
            [.. Purges.SelectMany(pair => Scopes([pair.Key]).Select(scope => new NumberedPurge(scope, pair.Value, "")))],
            [.. Scopes(UntoldPurges)],
            [.. UntoldKeys.Chunk(2).Where(pair => pair.Length == 2).Select(pair => new RemovedKey(pair[0], FromBase64(pair[1])))]);

        private static IEnumerable<PurgeScope> Scopes(IEnumerable<string> texts)
        {
            foreach (var text in texts)
            {
                if (PurgeScope.TryParse(text, out var scope))
                {
                    yield return scope;
                }
            }
        }

        private static byte[] FromBase64(string text)
        {
            var bytes = new byte[text.Length];
            return Convert.TryFromBase64String(text, bytes, out var written) ? bytes[..written] : [];
        }
    }
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(RemovalFile.Content))]
internal sealed partial class RemovalJson : JsonSerializerContext;
