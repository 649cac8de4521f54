using KvMesh.Engine.Blocks;

namespace KvMesh.Gateway.Resp;

/// <summary>Reading and probing, with what every use of a block entails on this door.</summary>
internal sealed partial class RespSession
{
    /// <summary>Opens a block for a client that cannot verify: the engine's sample is verified here. The caller disposes the read.</summary>
    public bool TryOpen(ReadOnlySpan<byte> key, out BlockRead read)
    {
        _batch.Gets++;
        var isPresent = TryOpenAny(key, out read);
        if (isPresent)
        {
            _batch.Hits++;
        }
        else
        {
            _batch.Misses++;
        }

        return isPresent;
    }

    /// <summary>As <see cref="TryOpen"/>, for the reply of a command that writes.</summary>
    public BlockRead? OpenForReply(ReadOnlySpan<byte> key) => TryOpen(key, out var read) ? read : null;

    /// <summary>Whether a block is here, and if so that it stays for the lease of the options.</summary>
    public bool Probe(ReadOnlySpan<byte> key)
    {
        _batch.Probes++;
        if (!Services.Keys.TryParse(key, out var parts))
        {
            return Services.Engine.Exists(Tenant, key, Leases, Services.Options.ExistsLease, Tenant.LosslessReads);
        }

        var isPresent = Services.Engine.ExistsAnywhere(Tenant, key, Leases, Services.Options.ExistsLease, Tenant.LosslessReads);
        Services.Chains.Probed(ChainSource, Tenant.Name, key, parts, isPresent);
        return isPresent;
    }

    public bool Remove(ReadOnlySpan<byte> key)
    {
        _batch.Removals++;

        // Any key but content means something on this node alone.
        return Services.Keys.TryParse(key, out _) ? Services.Engine.Remove(Tenant, key) : Services.Engine.RemoveHere(Tenant, key);
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

    private bool TryOpenAny(ReadOnlySpan<byte> key, out BlockRead read)
    {
        // Only content may come from other nodes: any other key means what was last written to it here.
        if (!Services.Keys.TryParse(key, out var parts))
        {
            return Services.Engine.TryRead(Tenant, key, ReadIntent.Use, out read, Tenant.LosslessReads) && IsGood(read);
        }

        var isPresent = Services.Engine.TryReadAnywhere(Tenant, key, out read, Tenant.LosslessReads) && IsGood(read);
        Services.Chains.Loaded(ChainSource, Tenant.Name, key, parts, isPresent);
        return isPresent;
    }

    private static bool IsGood(BlockRead read)
    {
        if (!read.MustVerify || read.Verify())
        {
            return true;
        }

        read.Dispose();
        return false;
    }
}
