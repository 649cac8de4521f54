using KvMesh.Cluster.Removals;
using KvMesh.Remote.Redis.Blocks;
using KvMesh.Server.Coding;
using KvMesh.Server.Hosting;

namespace KvMesh.Server.Mesh;

/// <summary>Attaches the Redis tier to the node's engine, when there is one.</summary>
internal static class RedisBlocks
{
    /// <summary>In the data directory while Redis has not heard of all removals.</summary>
    private const string MarkerFile = "redis-removals-pending";

    /// <summary>Null when it is off.</summary>
    /// <exception cref="NodeStartException">A key or password file changed since the options were checked.</exception>
    public static RedisBlockTier? Attach(MeshContext context, Removals? removals, StopSteps stop)
    {
        var options = context.Options.Mesh.RedisBlocks;
        if (!options.IsEnabled())
        {
            return null;
        }

        try
        {
            var marker = Path.Combine(context.Options.DataDirectory, MarkerFile);
            var coder = new TensorCoder(context.Layouts, CodecPolicy.OfRedis(context.Options.Codecs), context.Time);
            var tier = new RedisBlockTier(
                options, context.Options.Mesh.Cluster, context.Engine.Tenants.All, marker, context.Time, context.Loggers, removals, coder);
            stop.Add(() => Task.Run(tier.Dispose));
            tier.Publish(context.Metrics.Meter);
            context.Engine.AttachTier(tier);
            return tier;
        }
        catch (SecretFileException exception)
        {
            throw new NodeStartException($"Mesh:RedisBlocks cannot be used: {exception.Message}", exception);
        }
    }
}
