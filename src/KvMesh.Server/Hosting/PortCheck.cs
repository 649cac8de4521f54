using System.Net;
using KvMesh.Protocol.Sockets;
using KvMesh.Server.Options;

namespace KvMesh.Server.Hosting;

/// <summary>
/// Finds ports that others have before anything of a node is opened: to open an arena of another size empties it, and a start that fails for its
/// address must not have done so.
/// </summary>
internal static class PortCheck
{
    /// <exception cref="NodeStartException">An address cannot be bound; the message names its option.</exception>
    public static void ThrowIfTaken(NodeOptions options)
    {
        var bound = new List<StreamListener>();
        try
        {
            Bind("Http:Port", options.Http.Address, options.Http.Port);
            Bind("Native:Port", options.Native.Address, options.Native.Enabled ? options.Native.Port : 0);
            Bind("Resp:Port", options.Resp.Address, options.Resp.Enabled ? options.Resp.Port : 0);
        }
        finally
        {
            bound.ForEach(listener => listener.Dispose());
        }

        void Bind(string option, string address, int port)
        {
            if (port == 0)
            {
                return;
            }

            try
            {
                bound.Add(StreamListener.Bind(new IPEndPoint(NodeOptionsRules.AddressOf(address)!, port), new StreamSocketOptions()));
            }
            catch (AddressInUseException exception)
            {
                throw new NodeStartException($"{option}: {exception.Message} Stop the other process or set another one.", exception);
            }
            catch (IOException exception)
            {
                throw new NodeStartException($"{option}: {exception.Message}", exception);
            }
        }
    }
}
