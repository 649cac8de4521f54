using KvMesh.Gateway.Native;
using KvMesh.Protocol.Native;

namespace KvMesh.Gateway.SharedMemory;

/// <summary>Ends residence leases. Request: u32 count, i64 each. Answer: u32 how many had not run out.</summary>
internal static class ReleaseHandler
{
    public static void Handle(NativeExchange exchange)
    {
        var reader = new HeadReader(exchange.Receiver.Head);
        var ids = reader.ReadBytes((long)reader.ReadUInt32() * sizeof(long));
        if (!reader.IsComplete)
        {
            exchange.Refuse(NativeStatus.BadRequest, "Release: the head must be a u32 count and as many i64 lease ids.");
            return;
        }

        var valid = LeaseHandler.ReleaseAll(exchange, ids);
        if (exchange.Request.WantsReply)
        {
            exchange.Begin();
            exchange.Writer.WriteUInt32((uint)valid);
            exchange.Writer.End(NativeStatus.Ok);
        }
    }
}
