"""What tests share: media whose content is known, small models, servers, pages."""
