namespace KvMesh.Protocol.Sockets;

/// <summary>Somebody else listens on the address that was asked for; the message names it.</summary>
public sealed class AddressInUseException : IOException
{
    public AddressInUseException()
    {
    }

    public AddressInUseException(string message)
        : base(message)
    {
    }

    public AddressInUseException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
