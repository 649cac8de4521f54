using KvMesh.Gateway.Access;
using KvMesh.Protocol.Native;

namespace KvMesh.Gateway.Native;

/// <summary>
/// A client received bytes that did not match: the node verifies the blocks and quarantines bad ones. A false report costs a check
/// and changes nothing.
/// </summary>
internal static class ReportHandler
{
    public static void Handle(NativeExchange exchange)
    {
        var reader = new HeadReader(exchange.Receiver.Head);
        if (!exchange.Require(AccessRights.Read) || !exchange.TryReadKeys(ref reader, out var keys))
        {
            return;
        }

        var cursor = keys.GetCursor();
        while (cursor.TryNext(exchange.KeyBuffer, out var key))
        {
            exchange.Engine.ReportMismatch(exchange.Tenant, key);
        }

        if (exchange.Request.WantsReply)
        {
            exchange.Answer(NativeStatus.Ok);
        }
    }
}
