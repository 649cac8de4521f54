namespace KvMesh.Client.Tests;

/// <summary>Every way in which a client can talk to a node.</summary>
internal static class Transports
{
    public static TheoryData<ClientTransport, bool> All => new()
    {
        { ClientTransport.Tcp, false },
        { ClientTransport.Tcp, true },
        { ClientTransport.Unix, false },
        { ClientTransport.Unix, true },
        { ClientTransport.SharedMemory, false },
        { ClientTransport.SharedMemory, true },
    };
}
