using KvMesh.Engine.Blocks;

namespace KvMesh.Gateway.Resp;

/// <summary>Reading and probing, with what every use of a block entails on this door.</summary>
internal sealed partial class RespSession
{
    /// <summary>Opens a block for a client that cannot verify: the engine's sample is verified here. The caller disposes the read.</summary>
    public bool TryOpen(ReadOnlySpan<byte> key, out BlockRead read)
    {
        _batch.Gets++;
        var isContent = Services.Keys.TryParse(key, out var parts);
        if (isContent)
        {
            Services.Chains.Loaded(ChainSource, key, parts);
        }

        // Only content may come from other nodes: any other key means what was last written to it here.
        if (!(isContent ? Services.Engine.TryReadAnywhere(Tenant, key, out read) : Services.Engine.TryRead(Tenant, key, ReadIntent.Use, out read)))
        {
            _batch.Misses++;
            return false;
        }

        if (read.MustVerify && !read.Verify())
        {
            read.Dispose();
            _batch.Misses++;
            return false;
        }

        _batch.Hits++;
        return true;
    }

    /// <summary>As <see cref="TryOpen"/>, for the reply of a command that writes.</summary>
    public BlockRead? OpenForReply(ReadOnlySpan<byte> key) => TryOpen(key, out var read) ? read : null;

    /// <summary>Whether a block is here, and if so that it stays for the lease of the options.</summary>
    public bool Probe(ReadOnlySpan<byte> key)
    {
        _batch.Probes++;
        if (!Services.Keys.TryParse(key, out var parts))
        {
            return Services.Engine.Exists(Tenant, key, Leases, Services.Options.ExistsLease);
        }

        var isPresent = Services.Engine.ExistsAnywhere(Tenant, key, Leases, Services.Options.ExistsLease);
        Services.Chains.Probed(ChainSource, key, parts, isPresent);

        return isPresent;
    }

    public bool Remove(ReadOnlySpan<byte> key)
    {
        _batch.Removals++;
        return Services.Engine.Remove(Tenant, key);
    }

    /// <summary>Sends a block as a bulk and closes it, also when the connection is lost over it.</summary>
    public void WriteAndClose(BlockRead read)
    {
        try
        {
            Writer.WriteBulk(read.Payload);
        }
        finally
        {
            read.Dispose();
        }
    }

    /// <summary>The same for a block that may be missing, which is a null.</summary>
    public void WriteAndClose(BlockRead? read)
    {
        if (read is { } open)
        {
            WriteAndClose(open);
        }
        else
        {
            Writer.WriteNull();
        }
    }
}
