using System.Runtime.CompilerServices;
using System.Text;
using KvMesh.Dashboard.Board;
using KvMesh.Dashboard.Feed;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Web;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KvMesh.Dashboard.Views;

/// <summary>
/// Turns pictures into HTML. Pages that show the same feed over the same time share a frame: it is rendered once, whoever asks first.
/// </summary>
internal sealed class FrameRenderer(IServiceScopeFactory scopes, ILoggerFactory loggers)
{
    // A feed that stopped takes its frames with it.
    private readonly ConditionalWeakTable<NodeFeed, Frames> _frames = [];

    /// <summary>The board of this picture as UTF-8; the caller only reads it.</summary>
    public Task<byte[]> RenderAsync(NodeFeed feed, NodePicture picture, TimeWindow window) =>
        _frames.GetValue(feed, _ => new Frames()).Get(picture.Version, window, () => RenderAsync(picture, window));

    private async Task<byte[]> RenderAsync(NodePicture picture, TimeWindow window)
    {
        var scope = scopes.CreateAsyncScope();
        await using (scope.ConfigureAwait(false))
        {
            var renderer = new HtmlRenderer(scope.ServiceProvider, loggers);
            await using (renderer.ConfigureAwait(false))
            {
                var parameters = ParameterView.FromDictionary(new Dictionary<string, object?>
                {
                    [nameof(BoardView.Model)] = BoardModel.From(picture, window),
                });
                return await renderer.Dispatcher.InvokeAsync(async () =>
                {
                    var root = await renderer.RenderComponentAsync<BoardView>(parameters).ConfigureAwait(false);
                    return Encoding.UTF8.GetBytes(root.ToHtmlString());
                }).ConfigureAwait(false);
            }
        }
    }

    /// <summary>The newest frame of each window.</summary>
    private sealed class Frames
    {
        private readonly Lock _lock = new();
        private readonly Dictionary<int, (long Version, Task<byte[]> Html)> _newest = [];

        public Task<byte[]> Get(long version, TimeWindow window, Func<Task<byte[]>> render)
        {
            lock (_lock)
            {
                if (!_newest.TryGetValue(window.Minutes, out var frame) || frame.Version < version)
                {
                    frame = (version, Task.Run(render));
                    _newest[window.Minutes] = frame;
                }

                return frame.Html;
            }
        }
    }
}
