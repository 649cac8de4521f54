using KvMesh.Gateway.Access;
using KvMesh.Protocol;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Gateway.Native;

/// <summary>Greets a client: agrees on a version, authenticates, and tells the limits.</summary>
internal static class HelloHandler
{
    /// <summary>False: the connection ends, with the reason in the answer.</summary>
    public static bool TryHandle(NativeExchange exchange)
    {
        if (exchange.IsAuthenticated)
        {
            exchange.Refuse(NativeStatus.BadRequest, "Hello: this connection has been greeted already.");
            return false;
        }

        if (!HelloRequest.TryRead(exchange.Receiver.Head, out var request))
        {
            exchange.Refuse(
                NativeStatus.BadRequest,
                $"Hello: token, tenant and client name must be complete and at most {NativeLimits.MaxTokenBytes}, {Limits.MaxTenantBytes} and {NativeLimits.MaxClientNameBytes} bytes.");
            return false;
        }

        if (exchange.Services.Options.Versions.AgreeOn(request.LowestVersion, request.HighestVersion) is not { } version)
        {
            RefuseVersion(exchange);
            return false;
        }

        var caller = FindCaller(exchange.Services.Access, request);
        if (caller is null)
        {
            exchange.Refuse(NativeStatus.AccessDenied, "Hello: the token is not known here, or belongs to another tenant.");
            return false;
        }

        exchange.Connection.ClientName = NativeExchange.ToText(request.ClientName);
        exchange.Authenticate(caller);
        exchange.Wish(request.Capabilities);
        exchange.Speak(version);
        exchange.Begin();
        Greeting(exchange, caller, version).Write(exchange.Writer);
        exchange.Writer.End(NativeStatus.Ok);
        return true;
    }

    public static void RefuseVersion(NativeExchange exchange) => exchange.Refuse(
        NativeStatus.UnsupportedVersion, $"the client's versions of the native protocol are not spoken here; version {exchange.Services.Options.Versions} is.");

    private static Caller? FindCaller(AccessControl access, in HelloRequest request) =>
        request.Token.IsEmpty ? access.AuthenticateAnonymous(request.TenantName) : access.Authenticate(request.TenantName, request.Token);

    private static HelloResponse Greeting(NativeExchange exchange, Caller caller, byte version)
    {
        var options = exchange.Services.Options;
        var sharesMemory = exchange.Connection.IsUnix && options.SharedMemory && caller.Tenant.OwnsArena;
        return new HelloResponse
        {
            Version = version,
            Rights = (byte)caller.Rights,
            Capabilities = NativeCapabilities.Watch | NativeCapabilities.EncodedBlocks | NativeCapabilities.LosslessReads | NativeCapabilities.LosslessWrites
                | (sharesMemory ? NativeCapabilities.SharedMemory : NativeCapabilities.None),
            Incarnation = options.Incarnation,
            MaxBlockBytes = options.MaxBlockBytes,
            MaxExistenceLease = options.MaxExistenceLease,
            MaxResidenceLease = options.MaxResidenceLease,
            NodeId = options.NodeId,
            Tenant = caller.Tenant.Name,
            UnixSocketPath = options.UnixSocketPath,
            ServerName = "kvmesh",
        };
    }
}
