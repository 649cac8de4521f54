using KvMesh.Gateway.Access;
using KvMesh.Gateway.Native;
using KvMesh.Protocol;
using KvMesh.Protocol.Native;

namespace KvMesh.Gateway.SharedMemory;

/// <summary>Hands a client the file through which it writes. Request: u64 bytes wanted. Answer, with the descriptor: u64 bytes given.</summary>
internal static class StagingHandler
{
    public static void Handle(NativeExchange exchange)
    {
        if (!exchange.Require(AccessRights.Write) || AttachHandler.FindChannel(exchange) is not { } channel)
        {
            return;
        }

        var reader = new HeadReader(exchange.Receiver.Head);
        var wanted = reader.ReadUInt64();
        if (!reader.IsComplete || wanted == 0 || exchange.Staging is not null)
        {
            exchange.Refuse(NativeStatus.BadRequest, $"Staging: {wanted} bytes were asked for; ask once on a connection, for at least 1.");
            return;
        }

        var bytes = Math.Min((long)Math.Min(wanted, NativeLimits.MaxStagingBytes), exchange.Services.Options.StagingBytes);
        bytes = (bytes + Limits.GranuleBytes - 1) / Limits.GranuleBytes * Limits.GranuleBytes;
        if (bytes == 0 || StagingFile.TryCreate(exchange.Services.Staging, bytes, out var file) is not { } staging)
        {
            exchange.Refuse(NativeStatus.Unavailable, $"Staging: {wanted} bytes were asked for and the node has none to give now.");
            return;
        }

        exchange.Staging = staging;
        using (file)
        {
            exchange.Begin();
            exchange.Writer.WriteUInt64((ulong)staging.Bytes);
            exchange.Writer.End(NativeStatus.Ok);
            AttachHandler.SendWithDescriptor(exchange, channel, file!);
        }
    }
}
